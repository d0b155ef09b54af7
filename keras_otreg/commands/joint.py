"""Fine-tune on pictures beside a larger set of other classes.

Fine-tunes a network on your pictures while a second head learns a larger set
with other classes, tied to the first one by optimal transport between the two
label sets. Compares it with plain fine-tuning, and keeps what is best in
validation.
"""

from keras_otreg.commands import options


def add(parser):
    parser.description += options.TRAINS
    options.add(parser, "target", "TARGET", options.PICTURES)
    text = "a folder of the same kind, of other classes; only train is used"
    options.add(parser, "source", "SOURCE", text)
    options.add_teacher(parser)
    number = options.number_above_zero
    text = "strength of the task of the source"
    options.add(parser, "--source-weight", "W", text, number, 1.0)
    text = "strength of the transport between the heads"
    options.add(parser, "--transport-weight", "W", text, number, 1.0)
    text = (
        "all or plan: all source pictures alike, or classes near the target "
        "more often"
    )
    kinds = "all", "plan"
    options.add(parser, "--source-shares", "WHICH", text, kinds, "all")
    options.add_settings(parser, "joint")
    options.add_common(parser)


def run(given):
    from keras_otreg.workflows.joint_transfer import joint

    joint(**options.arguments(given))

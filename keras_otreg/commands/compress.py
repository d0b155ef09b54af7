"""Make a small network from a large one.

Makes a network narrower, gives it weights with which it computes almost the
same, trains it on your pictures, compares it with the same network trained
from new weights, and keeps what is best in validation. Or trains a --student
of any architecture beside it.
"""

from keras_otreg.commands import options
from keras_otreg.workflows.settings import DISTANCES, TITLES


def add(parser):
    parser.description += options.TRAINS
    text = "the large network, a .keras file"
    options.add(parser, "model", "MODEL.keras", text)
    options.add(parser, "data", "DATA", options.PICTURES)
    size = parser.add_mutually_exclusive_group()
    text = "share of the neurons of each layer that stay, such as 0.5"
    options.add(size, "--width", "SHARE", text, options.share, shown="")
    text = "the most weights: a number such as 2M, or a share such as 50%%"
    options.add(size, "--parameters", "N", text, options.amount, shown="")
    text = "the most operations for a picture: such as 300M, or 50%%"
    options.add(size, "--flops", "N", text, options.amount, shown="")
    text = (
        "a small network of your own instead, a .keras file; it starts with "
        "the weights that it has"
    )
    options.add(parser, "--student", "MODEL.keras", text, shown="")
    methods = tuple(name for name in TITLES if name not in DISTANCES)
    options.add_method(parser, methods, "alignment")
    options.add_places(
        parser,
        "a layer of the student where the method acts, and the teacher's "
        "layer to compare it with; may be repeated (default: the ends of up to "
        "three blocks and the layers before the heads; `keras-otreg compare` "
        "suggests others)",
        paired=True,
    )
    options.add_weight(parser, f"1 for alignment, else {options.MIDDLE}")
    options.add_settings(parser, "compress")
    options.add_common(parser)


def run(given):
    sizes = given.student, given.width, given.parameters, given.flops
    if sum(x is not None for x in sizes) != 1:
        given.refuse(
            "expected one of --width, --parameters, --flops and --student"
        )
    from keras_otreg.workflows.compression import compress

    compress(**options.arguments(given))

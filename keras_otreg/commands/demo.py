"""Learn real digits from few labels, and compare methods.

Trains a network on MNIST's digits and transfers it to those of another
scanner, with two labels a class, by optimal transport and by the usual
methods. Or, with --joint, learns MNIST's digits from five labels a class
beside printed letters. Needs pip install "keras-otreg[demo]".
"""

import dataclasses

from keras_otreg.commands import options


def add(parser):
    text = "joint transfer from letters instead of fine-tuning"
    options.flag(parser, "--joint", text)
    options.flag(
        parser,
        "--quick",
        "take some two minutes: 2 seeds (1 with --joint), less training of "
        "the source, default strengths instead of chosen ones",
    )
    text = "how many draws of labels to train with"
    shown = "8, or 5 with --joint"
    options.add(parser, "--seeds", "N", text, options.SEEDS, shown=shown)
    text = "folder for the model, the table and the pictures"
    options.add(parser, "--out", "DIR", text, default="otreg-demo")
    options.add_common(parser, "the first draw of labels")


def run(given):
    from keras_otreg.demo import rows, runner
    from keras_otreg.experiments.problem import Settings
    from keras_otreg.workflows.stages import output_folder

    output_folder(given.out)
    # Without --joint, then with it.
    seeds = ((8, 5), (2, 1))[given.quick][given.joint]
    data, work, own = rows.digits, runner.run, {}
    if given.joint:
        data, work, own = rows.letters_and_digits, runner.run_joint, rows.BESIDE
    settings = Settings(seeds=given.seeds or seeds, seed=given.seed, **own)
    if given.quick:
        epochs = settings.source_epochs // 2
        settings = dataclasses.replace(
            settings, source_epochs=epochs, points=4, strengths=()
        )
    work(data(), settings, given.out, options.screen(given))

"""Learn real digits from few labels, and compare methods.

Trains a network on MNIST's digits and transfers it to those of another
scanner, with two labels a class, by optimal transport and by the usual
methods. Or, with --joint, learns MNIST's digits from five labels a class
beside printed letters. Needs pip install "keras-otreg[demo]".
"""

from keras_otreg.commands import options


def add(parser):
    """Add the arguments."""
    text = "joint transfer from letters instead of fine-tuning"
    options.flag(parser, "--joint", text)
    options.flag(
        parser,
        "--quick",
        "take less than a minute: 2 seeds (1 with --joint), less training of "
        "the source, default strengths instead of chosen ones",
    )
    text, shown = (
        "how many draws of labels to train with",
        "8, or 5 with --joint",
    )
    options.add(parser, "--seeds", "N", text, options.SEEDS, shown=shown)
    text = "folder for the model, the table and the pictures"
    options.add(parser, "--out", "DIR", text, default="otreg-demo")
    options.add_common(parser, "the first draw of labels")


def run(given):
    """Run one of the demos."""
    from keras_otreg import demo
    from keras_otreg.workflows.stages import output_folder

    output_folder(given.out)
    # Without --joint, then with it.
    seeds = ((8, 5), (2, 1))[given.quick][given.joint]
    settings = demo.Settings(seeds=given.seeds or seeds, seed=given.seed)
    if given.joint:
        settings = demo.joint(settings)
    if given.quick:
        settings = demo.quick(settings)
    task = demo.letters_and_digits() if given.joint else demo.digits()
    work = demo.run_joint if given.joint else demo.run
    work(task, settings, given.out, options.screen(given))

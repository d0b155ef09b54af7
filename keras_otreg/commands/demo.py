"""The command `demo`."""

from typing import Any

from keras_otreg.commands import options


def add(commands: Any) -> None:
    """Add the command to those of a parser."""
    parser = options.command(
        commands,
        "demo",
        _run,
        "learn real digits from few labels, and compare methods",
        "Trains a network on MNIST's digits and transfers it to those of "
        "another scanner, with two labels a class, by optimal transport "
        "and by the usual methods. Or, with --joint, learns "
        "MNIST's digits from five labels a class beside printed letters. "
        'Needs pip install "keras-otreg[demo]".',
    )
    parser.add_argument(
        "--joint",
        action="store_true",
        help="joint transfer from letters instead of fine-tuning",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="take less than a minute: 2 seeds (1 with --joint), less "
        "training of the source, default strengths instead of chosen ones",
    )
    options.add(
        *(parser, "--seeds", "N", "how many draws of labels to train with"),
        kind=options.whole_number(1, 1000),
        shown="8, or 5 with --joint",
    )
    text = "folder for the model, the table and the pictures"
    options.add(parser, "--out", "DIR", text, default="otreg-demo")
    options.add_common(parser, "the first draw of labels")


def _run(given):
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
    run = demo.run_joint if given.joint else demo.run
    run(task, settings, given.out, options.screen(given))

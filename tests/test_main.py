import contextlib
import signal
import warnings

import pytest

from keras_otreg import __main__ as command_line

COMMANDS = (
    "finetune",
    "compress",
    "joint",
    "inspect",
    "compare",
    "tune",
    "predict",
    "evaluate",
    "export",
    "demo",
    "benchmark accuracy",
)


def fails(arguments, capsys):
    """The exit code and the message of a command that cannot start."""
    with pytest.raises(SystemExit) as stop:
        command_line.main(arguments)
    return stop.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "culprit"),
    [
        ([], "command"),
        (["dance"], "dance"),
        (["demo", "--seeds", "0"], "--seeds"),
        (["demo", "--seeds", "-1"], "--seeds"),
        (["demo", "--seeds", "two"], "--seeds"),
        (["demo", "--seed", "1.5"], "--seed"),
        (["demo", "--slow"], "--slow"),
        (["demo", "--out"], "--out"),
        (["benchmark"], "kind"),
        (["benchmark", "beauty"], "beauty"),
        (["benchmark", "accuracy", "--seeds", "0"], "--seeds"),
        (["finetune"], "DATA"),
        (["finetune", "data", "--method", "magic"], "--method"),
        (["finetune", "data", "--weight", "-1"], "--weight"),
        (["finetune", "data", "--weight", "nan"], "--weight"),
        (["finetune", "data", "--shots", "0"], "--shots"),
        (["compress", "model.keras", "data"], "--student"),
        (["joint", "data"], "SOURCE"),
        (["inspect"], "MODEL.keras"),
        (["compare", "a.keras", "b.keras"], "DATA"),
        (["predict", "model.keras"], "PICTURES"),
        (["evaluate", "model.keras"], "FOLDER"),
        (["export", "model.keras", "--format", "jpeg"], "--format"),
    ],
)
def test_a_wrong_argument_is_named_in_one_line(arguments, culprit, capsys):
    code, message = fails(arguments, capsys)
    assert code == 2
    assert culprit in message
    assert message.startswith("keras-otreg")
    assert message.count("\n") == 1


def test_a_folder_that_cannot_be_written_to_is_named_in_one_line(
    tmp_path, capsys
):
    path = tmp_path / "file"
    path.touch()
    for folder in (path, path / "inside"):
        assert command_line.main(["demo", "--out", str(folder)]) == 1
        message = capsys.readouterr().err
        assert str(folder) in message
        assert message.count("\n") == 1


@pytest.mark.parametrize(
    ("option", "value"),
    [("--only", "nothing"), ("--tasks", "missing.yaml"), ("--data", "missing")],
)
def test_what_a_benchmark_cannot_use_is_named_in_one_line(
    option, value, tmp_path, capsys
):
    arguments = ["benchmark", "accuracy", "--out", str(tmp_path)]
    assert command_line.main([*arguments, option, value]) == 1
    message = capsys.readouterr().err
    assert value in message
    assert message.count("\n") == 1


def test_a_part_of_the_pictures_that_is_missing_is_named(tmp_path, capsys):
    (tmp_path / "data" / "train").mkdir(parents=True)
    tasks = tmp_path / "tasks.yaml"
    tasks.write_text(
        "protocol: {shown: plain}\n"
        "tasks: {photos: {kind: folder, labels: 1}}\n"
        "methods: {plain: {uses: plain}}"
    )
    arguments = ["--out", tmp_path / "out", "--data", tmp_path / "data"]
    command = ["benchmark", "accuracy", "--tasks", tasks, *arguments]
    assert command_line.main([*map(str, command)]) == 1
    message = capsys.readouterr().err
    assert "no folder" in message
    assert "validation" in message


def test_the_tasks_that_come_with_it_are_named_where_others_are_not_read(
    tmp_path, capsys
):
    arguments = ["benchmark", "accuracy", "--out", str(tmp_path / "out")]
    assert command_line.main([*arguments, "--tasks", str(tmp_path)]) == 1
    message = capsys.readouterr().err
    assert f"cannot read --tasks {tmp_path}" in message
    assert "accuracy.yaml" in message


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KeyboardInterrupt(), 130),
        (ImportError('pip install "keras-otreg[demo]"'), 1),
        (OSError(28, "No space left on device"), 1),
    ],
)
def test_trouble_while_working_is_one_line_and_a_code(error, code, capsys):
    def work():
        raise error

    assert command_line.exit_code(work) == code
    message = capsys.readouterr().err
    assert message.startswith("keras-otreg: ")
    assert message.count("\n") == 1


def test_an_error_after_an_interrupt_that_was_lost_is_the_interrupt(capsys):
    def work():
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        raise AttributeError("half imported")

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert command_line.exit_code(work) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err == "keras-otreg: interrupted\n"


def test_a_mistake_of_ours_is_one_line_too_and_has_a_code(capsys):
    def work():
        raise ZeroDivisionError("by zero\nof all things")

    assert command_line.exit_code(work) == 3
    message = capsys.readouterr().err
    assert "ZeroDivisionError" in message
    assert "--debug" in message
    assert message.count("\n") == 1


def test_debugging_shows_where_it_went_wrong(capsys):
    def work():
        raise OSError("no such thing")

    assert command_line.exit_code(work, debug=True) == 1
    message = capsys.readouterr().err
    assert "Traceback" in message
    assert "in work" in message
    assert message.splitlines()[-1] == "keras-otreg: error: no such thing"


@pytest.mark.filterwarnings("default")
def test_a_warning_is_one_line(capsys):
    def work():
        warnings.warn("left out:\none picture", stacklevel=1)

    assert command_line.exit_code(work) == 0
    expected = "keras-otreg: warning: left out: one picture\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_takes_what_all_take(name, capsys):
    with pytest.raises(SystemExit) as exit_:
        command_line.main([*name.split(), "--help"])
    assert exit_.value.code == 0
    shown = capsys.readouterr().out
    for option in ("--seed S", "--quiet", "--debug"):
        assert option in shown


def test_the_help_tells_of_all_commands_and_exit_codes(capsys):
    with pytest.raises(SystemExit):
        command_line.main(["--help"])
    shown = capsys.readouterr().out
    for words in ("exit codes", "finetune", "compress", "compare", "130"):
        assert words in shown


def test_help_names_every_option(capsys):
    with pytest.raises(SystemExit) as exit_:
        command_line.main(["demo", "--help"])
    assert exit_.value.code == 0
    shown = capsys.readouterr().out
    for option in ("--quick", "--seeds N", "--seed S", "--out DIR"):
        assert option in shown

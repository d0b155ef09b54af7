import numpy as np

from keras_otreg.workflows.run import Trained
from keras_otreg.workflows.words import advice


def trained(best):
    return Trained(None, [{"epoch": 1}], best, 1.0, {"test": np.zeros(1)})


def told(strengths, search):
    """All that is ever advised."""
    lines = []
    for best in (0, 1):
        found = trained(best), trained(1)
        lines += advice("it", *found, (0.5, 0.9), strengths, search)
    return " ".join(lines)


def test_a_result_that_is_ahead_needs_no_advice():
    plain = trained(1)
    result = Trained(None, [{}, {}], 1, 1.0, {})
    assert advice("it", result, plain, (0.9, 0.5), ["--weight"], None) == []


def test_only_options_that_a_command_has_are_advised():
    both = told(["--transport-weight", "--source-weight"], None)
    assert "a larger --transport-weight or --source-weight." in both
    assert "--tune" not in both
    assert "--weight" not in both
    assert "--tune 10" in told(["--weight"], "--tune 10")

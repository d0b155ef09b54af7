import numpy as np
import pytest

from keras_otreg.workflows.results import ReportData
from keras_otreg.workflows.stages import Trained

HEAD, PLAIN, METHOD = "solved head", "plain fine-tuning", "transport"


def trained(probability, best=1, epochs=2):
    """A network that gives this probability to the class of each picture."""
    predictions = np.tile([probability, 1.0 - probability], (3, 1))
    of_parts = dict.fromkeys(("validation", "test"), predictions)
    return Trained(None, [{}] * epochs, best, 1.0, of_parts)


@pytest.fixture
def data(picture_files):
    files = picture_files._replace(labels=np.zeros(3, int))

    def make(chosen, results=None, **options):
        results = results or {
            HEAD: trained(0.2, epochs=0),
            PLAIN: trained(0.7),
            METHOD: trained(0.9),
        }
        parts = dict.fromkeys(("train", "validation", "test"), files)
        return ReportData(
            *(results, METHOD, PLAIN, chosen, parts, {}, "title", "lead"),
            **options,
        )

    return make


def test_the_network_in_the_file_is_named_with_the_reason(data):
    told = data(METHOD).choice()
    assert "model.keras is the network of 'transport'" in told
    assert "3 validation pictures: accuracy 1.000" in told
    assert "solved head 0.000" in told
    assert "the lower cross-entropy decides: it has 0.105" in told
    assert "plain fine-tuning has 0.357" in told
    same = {HEAD: trained(0.2), METHOD: trained(0.9), PLAIN: trained(0.9)}
    assert "decides" not in data(METHOD, same).choice()


@pytest.mark.parametrize("chosen", [HEAD, PLAIN, METHOD])
@pytest.mark.parametrize("best", [1, 2])
def test_one_outcome_has_one_advice(data, chosen, best):
    results = {
        HEAD: trained(0.2, epochs=0),
        PLAIN: trained(0.7),
        METHOD: trained(0.9, best),
    }
    told = data(chosen, results).advice() or ""
    kinds = ("smaller --weight", "more --epochs")
    expected = {PLAIN: kinds[0]}.get(chosen)
    if chosen == METHOD:
        expected = kinds[1] if best == 2 else None
    assert [kind for kind in kinds if kind in told] == (
        [expected] if expected else []
    )
    assert "larger" not in told


def test_a_training_that_brought_nothing_is_said_to_first(data):
    told = data(HEAD).choice()
    assert told.startswith("Training of all layers brought nothing: ")
    assert "solved head" in told
    assert not data(PLAIN).choice().startswith("Training")
    assert data(HEAD).advice() is None
    assert "--unlabelled" in data(HEAD, more="--unlabelled").advice()
    gains = [row["gain"] for row in data(METHOD).rows()]
    assert gains == [None, 1.0, 1.0]


def test_only_options_that_a_command_has_are_advised(data):
    strengths = ["--transport-weight", "--source-weight"]
    told = data(PLAIN, strengths=strengths).advice()
    assert "a smaller --transport-weight or --source-weight." in told
    assert "--tune" not in told
    assert " --weight" not in told
    assert "--tune 10" in data(PLAIN, search="--tune 10").advice()


def test_a_head_that_is_kept_is_not_called_the_best(data):
    told = data(HEAD).choice()
    assert "no other is better by more than one standard error" in told
    assert "decides" not in told

import os
import pathlib
import shutil

import matplotlib
import pytest
from matplotlib import style
from matplotlib.legend import Legend
from matplotlib.testing.compare import compare_images
from matplotlib.text import Text

BASELINE = pathlib.Path(__file__).parent / "baseline"
# Root mean square of the difference in levels from 0 to 255. Other hinting of
# the letters makes 0.0, dots of another colour 2.5.
TOLERANCE = 1.0


@pytest.fixture(autouse=True)
def default_style():
    """Pictures as on any machine, whatever the settings of the user's are."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        yield


@pytest.fixture(params=["default", "dark_background"])
def background(request):
    """Both styles that people look at pictures in."""
    with style.context(request.param):
        yield request.param


@pytest.fixture
def looks_as_before(tmp_path):
    """Compares a figure, but for its text, with what was looked at.

    The letters are drawn by a library that other versions of matplotlib bring
    in another version, and all is arranged around them. What is written has
    tests of its own.

    After a change, `OTREG_DRAW=1 python -m pytest -n 0 tests/plots` draws all
    pictures anew: look at them.
    """

    def compare(figure, name):
        drawn, known = tmp_path / f"{name}.png", BASELINE / f"{name}.png"
        for written in figure.findobj(_is_writing):
            written.set_visible(False)
        figure.legends.clear()
        figure.savefig(drawn, dpi=50)
        if os.environ.get("OTREG_DRAW"):
            BASELINE.mkdir(exist_ok=True)
            shutil.copy(drawn, known)
        assert not compare_images(str(known), str(drawn), TOLERANCE)

    return compare


def _is_writing(artist):
    return isinstance(artist, (Text, Legend))

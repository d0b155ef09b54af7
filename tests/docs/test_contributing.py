"""What the page on contributing adds to the package works."""

import pathlib
import re
import shutil
import subprocess
import sys

import pytest

import keras_otreg

PACKAGE = pathlib.Path(keras_otreg.__file__).parent
PAGE = PACKAGE.parent / "docs" / "pages" / "contributing.md"
BLOCK = re.compile(r'^```python title="(.+?)"\n(.*?)^```', re.M | re.S)
USE = """
import sys

import keras
import numpy as np

import keras_otreg as otreg
from keras_otreg.__main__ import main
from keras_otreg.compression.channels import rule_of
from keras_otreg.engine import openvino

x = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
cubes = otreg.losses.RepresentationTransport(cost="cubes")
assert float(cubes(x, 2 * x)) > float(cubes(x, x))
assert float(otreg.losses.MeanGap()(x, x + 2.0)) == 4.0
assert "normalises" in rule_of(keras.layers.RMSNormalization()).why
assert issubclass(openvino.Engine, otreg.engine.Engine)
keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save("m.keras")
sys.exit(main(["size", "m.keras"]))
"""


@pytest.mark.slow
def test_one_of_each_kind_can_be_added_in_two_files(tmp_path):
    copy = tmp_path / "keras_otreg"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    blocks = BLOCK.findall(PAGE.read_text("utf-8"))
    assert len(blocks) == 7
    for name, code in blocks:
        path = tmp_path / name
        text = path.read_text("utf-8") if path.exists() else ""
        if path.name == "__main__.py":
            text = text.replace("def main(", f"{code}\n\ndef main(", 1)
        else:
            text = f"{text}\n{code}"
        path.write_text(text, "utf-8")
    found = subprocess.run(
        [sys.executable, "-c", USE],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr[-2000:]
    assert found.stdout.split()[-1] == "8"

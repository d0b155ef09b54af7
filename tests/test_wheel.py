"""What a user installs: small, without data, and good for the README."""

import pathlib
import shutil
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest

import keras_otreg

ROOT = pathlib.Path(keras_otreg.__file__).parents[1]
WHERE = "\nprint('from', otreg.__file__)\n"


def example():
    """The Python example of the README."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return text.split("```python\n")[1].split("```")[0]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy: building leaves its traces beside the sources."""
    folder = tmp_path_factory.mktemp("copy") / "source"
    left_out = shutil.ignore_patterns(
        ".*", "__pycache__", "build", "*.egg-info"
    )
    shutil.copytree(ROOT, folder, ignore=left_out, symlinks=True)
    return folder


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory):
    return built(source, tmp_path_factory.mktemp("wheel"))


def built(source, folder):
    """The wheel of a folder or an archive."""
    build = ["pip", "wheel", str(source), "--no-deps", "--no-build-isolation"]
    build += ["--quiet", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", *build], cwd=folder, check=True)
    (found,) = folder.glob("*.whl")
    return found


@pytest.mark.slow
def test_a_wheel_is_small_and_holds_the_package_alone(wheel):
    assert wheel.stat().st_size < 1e6
    names = zipfile.ZipFile(wheel).namelist()
    assert "keras_otreg/py.typed" in names
    kinds = {pathlib.Path(name).suffix for name in names if "info" not in name}
    assert kinds <= {".py", ".typed", ".yaml", ".css", ".j2"}
    tops = {name.split("/")[0].split("-")[0] for name in names}
    assert tops == {"keras_otreg"}


@pytest.mark.slow
def test_the_source_archive_makes_the_same_wheel(wheel, source, tmp_path):
    build = "from setuptools import build_meta; import sys; "
    build += "build_meta.build_sdist(sys.argv[1])"
    subprocess.run(
        [sys.executable, "-c", build, str(tmp_path)],
        cwd=source,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    (archive,) = tmp_path.glob("*.tar.gz")
    assert archive.stat().st_size < 1e6
    first, again = (
        {item.filename: item.CRC for item in zipfile.ZipFile(path).infolist()}
        for path in (wheel, built(archive, tmp_path))
    )
    record = next(name for name in first if name.endswith("RECORD"))
    # It names the tool that made it.
    del first[record], again[record]
    assert again == first


@pytest.mark.slow
def test_the_readme_runs_from_the_wheel_elsewhere(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    place = tmp_path / "elsewhere"
    place.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", example() + WHERE],
        cwd=place,
        env={"PYTHONPATH": str(tmp_path / "installed"), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert f"from {tmp_path / 'installed'}" in done.stdout
    student = keras.saving.load_model(place / "small.keras")
    assert np.isfinite(student(np.ones((1, 28, 28, 1)))).all()

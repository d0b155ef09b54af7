"""What a run was made on, and by which command, in a file beside it."""

import json
import os
import pathlib
import platform
import shlex
import sys
from importlib import metadata
from typing import Any

import keras_otreg
from keras_otreg import checks
from keras_otreg.files import whole

PACKAGES = (
    "keras",
    "tensorflow",
    "tensorflow-cpu",
    "numpy",
    "jax",
    "ott-jax",
    "pot",
    "torch",
    "geomloss",
)


def machine() -> dict[str, str]:
    """The processor, the system, and the versions of the main packages."""
    found = {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "system": platform.platform(),
        "Python": platform.python_version(),
        "keras-otreg": keras_otreg.__version__,
    }
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _processor():
    listing = pathlib.Path("/proc/cpuinfo")
    lines = listing.read_text().splitlines() if listing.exists() else []
    names = [
        x.split(":")[1].strip() for x in lines if x.startswith("model name")
    ]
    return names[0] if names else platform.processor() or platform.machine()


def write_about(path: pathlib.Path, **more: Any) -> None:
    """Writes down which command made the results, and on what."""
    about = {**more, "command": shlex.join(sys.argv[1:]), **machine()}
    with whole(path) as unfinished:
        unfinished.write_text(json.dumps(about, indent=2), "utf-8")


def read_about(path: pathlib.Path) -> dict[str, Any]:
    """Reads what `write_about` wrote.

    Raises:
        ValueError: If it is damaged.
    """
    with checks.whole_record(path):
        about = dict(json.loads(path.read_text(encoding="utf-8")))
        checks.all_there(about, ("command",))
    return about

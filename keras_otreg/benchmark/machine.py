"""What a measurement was made on."""

import os
import pathlib
import platform
from importlib import metadata

import keras_otreg

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

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


SYSTEM = pathlib.Path("/sys/devices/system/cpu")


def cache_bytes(system: pathlib.Path = SYSTEM) -> int | None:
    """Bytes of the last caches before memory, of all cores together.

    Args:
        system: Where Linux tells of its processors.

    Returns:
        `None` where that is unknown.
    """
    found: dict[int, dict[str, int]] = {}
    try:
        for cache in system.glob("cpu[0-9]*/cache/index*"):
            level, cores, size = (
                (cache / name).read_text().strip()
                for name in ("level", "shared_cpu_list", "size")
            )
            kibibytes = int(size.removesuffix("K"))
            # Cores that share a cache all tell of it.
            found.setdefault(int(level), {})[cores] = 1024 * kibibytes
    except (OSError, ValueError):
        return None
    return sum(found[max(found)].values()) if found else None


def _processor():
    listing = pathlib.Path("/proc/cpuinfo")
    lines = listing.read_text().splitlines() if listing.exists() else []
    names = [
        x.split(":")[1].strip() for x in lines if x.startswith("model name")
    ]
    return names[0] if names else platform.processor() or platform.machine()

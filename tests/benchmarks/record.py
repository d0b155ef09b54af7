"""Records of measurements: the machine, the command, a section of a page."""

import json
import os
import pathlib
import platform
import re
from importlib import metadata
from typing import Any

import keras_otreg
from keras_otreg import checks
from keras_otreg.files import write_text

PACKAGES = (
    *("keras", "tensorflow", "tensorflow-cpu", "numpy", "jax", "ott-jax"),
    *("pot", "torch", "geomloss"),
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


def add_machine(path):
    """Add the machine to the record of a run."""
    about = json.loads(path.read_text(encoding="utf-8"))
    write_text(path, json.dumps({**about, **machine()}, indent=2))


def read_about(path: pathlib.Path) -> dict[str, Any]:
    """Read the record of a run, its command first."""
    about = json.loads(path.read_text(encoding="utf-8"))
    return {"command": about.pop("command"), **about}


def origin(about: dict[str, Any]) -> tuple[str, str]:
    """The command of a run, and the machine that it ran on, as Markdown."""
    on = "; ".join(f"{k} {v}" for k, v in about.items() if k != "command")
    # Where its tables went is of no use to those who repeat it.
    command = re.sub(r"(--out )('.*?'|\S+)", r"\1DIR", about["command"])
    return f"Command: `python tests/benchmarks {command}`", on


def write_section(page: pathlib.Path, name: str, paragraphs: list[str]) -> None:
    """Replace one section of a Markdown page, or make the page."""
    begin = f"<!-- {name}: written by `--page` -->"
    end = f"<!-- {name}: end -->"
    text = page.read_text(encoding="utf-8") if page.exists() else "# Results\n"
    counts = text.count(begin), text.count(end)
    if counts not in ((0, 0), (1, 1)) or text.find(begin) > text.find(end):
        raise checks.invalid(
            f"'{begin}' and, below it, '{end}' in '{page}', once each, or "
            "neither",
            "{} and {} of them, or in another order".format(*counts),
            "Delete what is left of that section and of its marks, to have it "
            "written at the end of the page",
        )
    before, after = f"{text.rstrip()}\n\n", "\n"
    if begin in text:
        before, rest = text.split(begin)
        after = rest.split(end)[1]
    section = "\n\n".join([begin, *paragraphs, end])
    page.parent.mkdir(parents=True, exist_ok=True)
    write_text(page, f"{before}{section}{after}")

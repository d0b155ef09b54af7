"""Photographs pages in a browser: `python docs/draw_screens.py SITE REPORT`.

SITE is what `mkdocs build` made, REPORT a `report.html` of `finetune`. Each is
shown by headless Chromium, to someone who likes light screens and to someone
who likes dark ones.
"""

import pathlib
import subprocess
import sys
import tempfile

import PIL.Image

FOLDER = pathlib.Path(__file__).parent / "pages" / "img" / "screens"
# What Blink calls them.
SCHEMES = {"light": 1, "dark": 0}
SIZE = (1280, 1000)
COLOURS = 256


def photograph(page, scheme, path):
    """Writes what a browser shows of a page."""
    with tempfile.TemporaryDirectory() as folder:
        shot = pathlib.Path(folder) / "screen.png"
        browser = [
            "chromium",
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--allow-file-access-from-files",
            f"--window-size={SIZE[0]},{SIZE[1]}",
            f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}",
            f"--screenshot={shot}",
            page.resolve().as_uri(),
        ]
        subprocess.run(browser, check=True, capture_output=True, timeout=120)
        picture = PIL.Image.open(shot).convert("RGB")
    picture.quantize(COLOURS).save(path, optimize=True)


def main(site, report):
    """Photographs the index of a site and a report."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    pages = {"docs": pathlib.Path(site) / "index.html", "report": report}
    for name, page in pages.items():
        for scheme in SCHEMES:
            path = FOLDER / f"{name}-{scheme}.png"
            photograph(pathlib.Path(page), scheme, path)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Fails if a link inside of a built site is dead: `check_links.py SITE`.

Each `href` and `src` that leads to the site itself has to name a file that was
built, and its anchor an `id` of that page. Links to other sites are not
followed.
"""

import html.parser
import pathlib
import sys
import urllib.parse


class _Page(html.parser.HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.anchors = [], {"", "top"}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        for key, value in attrs:
            if key in ("href", "src"):
                self.links.append(value or "")
            elif key == "id" or (tag, key) == ("a", "name"):
                self.anchors.add(value)


def dead_links(site):
    """Return how many links lead into a site, and those that are dead.

    Args:
        site: Folder of a built site.

    Returns:
        The number of links, and a list of pairs (page, link).
    """
    site = pathlib.Path(site).resolve()
    pages = {path: _Page(path) for path in sorted(site.rglob("*.html"))}
    count, dead = 0, []
    for path, page in pages.items():
        for link in page.links:
            url = urllib.parse.urlsplit(link)
            if url.scheme or url.netloc:
                continue
            count += 1
            target = _target(site, path, urllib.parse.unquote(url.path))
            anchor = urllib.parse.unquote(url.fragment)
            found = target.is_file() and (
                target not in pages or anchor in pages[target].anchors
            )
            if not found:
                dead.append((str(path.relative_to(site)), link))
    return count, dead


def _target(site, page, path):
    if not path:
        return page
    start = site if path.startswith("/") else page.parent
    target = (start / path.lstrip("/")).resolve()
    return target / "index.html" if target.is_dir() else target


def main(site):
    """Print the dead links of a site; return 1 if any is dead or none found."""
    count, dead = dead_links(site)
    for page, link in dead:
        print(f"{page}: {link}", file=sys.stderr)  # noqa: T201
    print(f"{count} links, {len(dead)} dead")  # noqa: T201
    return 1 if dead or not count else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

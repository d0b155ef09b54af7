import importlib.util
import pathlib

import pytest

SCRIPT = pathlib.Path(__file__).parents[2] / "docs" / "check_links.py"


@pytest.fixture(scope="module")
def check_links():
    spec = importlib.util.spec_from_file_location("check_links", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def site(tmp_path):
    """Two pages, of which the second has an anchor."""
    (tmp_path / "guide").mkdir()
    (tmp_path / "guide" / "index.html").write_text('<h2 id="how">How</h2>')

    def with_index(text):
        (tmp_path / "index.html").write_text(text)
        return tmp_path

    return with_index


def test_links_to_pages_anchors_and_other_sites_pass(check_links, site):
    links = ("guide/", "guide/#how", "/guide/index.html", "#", "https://x.y/z")
    text = "".join(f'<a href="{link}">x</a>' for link in links)
    assert check_links.dead_links(site(text)) == (4, [])
    assert check_links.main(site(text)) == 0


@pytest.mark.parametrize(
    "link",
    ['a href="guide.md"', 'a href="guide/#why"', 'a href="#x"', 'img src="x"'],
)
def test_a_dead_link_fails_and_is_named(check_links, site, link, capsys):
    assert check_links.main(site(f"<{link}>")) == 1
    assert link.split('"')[1] in capsys.readouterr().err


def test_a_site_without_links_fails(check_links, site):
    assert check_links.main(site("nothing")) == 1

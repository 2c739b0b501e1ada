# SPDX-License-Identifier: GPL-3.0-or-later
"""The user guide is whole and true: links lead somewhere, and buttons have the words that it says."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "guide"
PAGES = sorted(GUIDE.glob("*.md"))
WORDS = re.compile(r"(?<![*\w])\*([^*]+)\*(?![*\w])")
LINK = re.compile(r"(!?)\[[^\]]*\]\(([^)\s]+)\)")


def prose(page):
    """A page without its code, a paragraph's lines joined."""
    text = re.sub(r"```.*?```|`[^`]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.sub(r"(?<!\n)\n(?=[^\n|#-])\s*", " ", text)


def links(page, *, pictures):
    found = LINK.findall(prose(page))
    return [target for mark, target in found if bool(mark) == pictures and "://" not in target]


def constants():
    """All texts in the plugin's sources, its schemas and the presets."""
    found = set()
    for path in [*(ROOT / "qgis_plugin").rglob("*.py"), ROOT / "timo" / "tasks" / "presets.py"]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    for path in (ROOT / "resources" / "schemas").glob("*.json"):
        for field in json.loads(path.read_text(encoding="utf-8"))["properties"].values():
            found.add(field.get("title", ""))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_and_pictures_are_there(page):
    for target in links(page, pictures=False):
        assert (GUIDE / target.partition("#")[0]).is_file(), f"{page.name} links to {target}"
    for target in links(page, pictures=True):
        assert (GUIDE / target).is_file(), f"{page.name} shows {target}"


def test_every_page_is_reached_from_the_contents():
    reached, new = set(), {"index.md"}
    while new:
        reached |= new
        new = {target.partition("#")[0] for name in new for target in links(GUIDE / name, pictures=False)}
        new -= reached
    assert {page.name for page in PAGES} <= reached


def test_every_picture_is_shown_and_all_are_small():
    pictures = {path.relative_to(GUIDE).as_posix() for path in GUIDE.rglob("*.png")}
    assert pictures == {target for page in PAGES for target in links(page, pictures=True)}
    assert sum((GUIDE / name).stat().st_size for name in pictures) < 3_000_000


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_words_in_italics_are_those_of_the_plugin(page):
    known = constants()
    wrong = [word for word in WORDS.findall(prose(page)) if word not in known]
    assert not wrong, f"{page.name} names what the plugin does not: {wrong}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_there_is_no_html_which_the_window_does_not_show(page):
    assert not re.search(r"<[a-zA-Z/]", prose(page))

# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a page as a browser would, and fails on what it may not hold."""

import base64
import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

ALONE = {"br", "img", "link", "meta"}


class Page(HTMLParser):
    """A page's text and images; every element is closed, and nothing is loaded from anywhere."""

    def __init__(self, content):
        super().__init__()
        self.open, self.tags, self.texts, self.images = [], [], [], []
        self.feed(content)
        self.close()
        assert self.open == []
        assert "://" not in content

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in ALONE:
            self.open.append(tag)
        for name, value in attrs:
            assert not name.startswith("on"), f"{tag} runs {value}"
            if name in ("src", "href", "action", "data", "srcset"):
                assert value.startswith("data:image/"), f"{tag} loads {value}"
                self.images.append(value)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.texts.append(data)

    @property
    def text(self):
        return re.sub(r"[ \n]+", " ", " ".join(self.texts))

    def plots(self):
        """The SVGs, parsed."""
        return [svg(uri) for uri in self.images if uri.startswith("data:image/svg+xml")]


def svg(uri):
    head, _, content = uri.partition(",")
    assert head == "data:image/svg+xml;base64"
    return ET.fromstring(base64.b64decode(content))


def words(plot):
    """The texts of a plot."""
    return ["".join(element.itertext()).strip() for element in plot.iter("{http://www.w3.org/2000/svg}text")]

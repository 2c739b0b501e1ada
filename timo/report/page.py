# SPDX-License-Identifier: GPL-3.0-or-later
"""A page that needs nothing beside itself: no network, no scripts, images within it. All text is escaped."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence


class Html(str):
    """Text that is safe to stand in a page as it is; all other text is escaped."""

    __slots__ = ()


# The page may load nothing at all, whatever a name in it says.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

_STYLE = """
:root { --ink: #1d2429; --soft: #5b666e; --line: #d9dfe3; --wash: #f4f6f7; --mark: #00674c; }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: #fff;
  font: 16px/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", Arial, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 2.2rem 1.4rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .2rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .7rem; padding-top: .9rem; border-top: 1px solid var(--line); }
p { margin: .55rem 0; max-width: 46rem; overflow-wrap: anywhere; }
.about, figcaption, .small { color: var(--soft); font-size: .9rem; }
.lead p { font-size: 1.08rem; }
.lead p:first-child { font-size: 1.35rem; line-height: 1.4; }
.cards { display: flex; flex-wrap: wrap; gap: .7rem; margin: 1.2rem 0; padding: 0; list-style: none; }
.cards li { flex: 1 1 8rem; background: var(--wash); border-radius: .4rem; padding: .6rem .8rem; }
.cards b { display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
.cards span { color: var(--soft); font-size: .85rem; }
.notes { margin: 1.2rem 0; padding: .7rem 1rem .7rem 2rem; background: #fdf6e7;
  border-left: .3rem solid #e69f00; border-radius: .2rem; }
.notes li { margin: .3rem 0; overflow-wrap: anywhere; }
figure { margin: 1.1rem 0; }
figure img { max-width: 100%; height: auto; }
figure img.pixels { image-rendering: pixelated; border: 1px solid var(--line); }
figcaption { max-width: 46rem; margin-top: .3rem; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; }
caption { text-align: left; color: var(--soft); font-size: .9rem; padding-bottom: .3rem; }
th, td { padding: .32rem .7rem; border-bottom: 1px solid var(--line); text-align: right;
  vertical-align: top; }
th:first-child, td:first-child { text-align: left; padding-left: 0; min-width: 9rem; }
thead th { border-bottom: 2px solid var(--ink); font-weight: 600; }
td.diagonal { background: #e2f1ec; font-weight: 600; }
td:not(:first-child) { white-space: nowrap; }
.facts td, .facts td:not(:first-child) { text-align: left; overflow-wrap: anywhere; white-space: normal; }
.facts td:first-child { color: var(--soft); white-space: nowrap; }
.swatch { display: inline-block; width: .8em; height: .8em; margin-right: .45em; border-radius: .15em;
  border: 1px solid rgba(0, 0, 0, .25); vertical-align: -.05em; }
@media print {
  body { font-size: 10.5pt; }
  main { max-width: none; padding: 0; }
  h2, figcaption, caption { break-after: avoid; }
  figure, tr, .cards li, .notes { break-inside: avoid; }
  .wide { overflow: visible; }
  .cards li, .notes, .swatch, td.diagonal { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""


def text(value: str) -> Html:
    """Any text, escaped; HTML as it is."""
    return value if isinstance(value, Html) else Html(html.escape(value))


def joined(*parts: Html) -> Html:
    """Parts after one another."""
    return Html("\n".join(parts))


def paragraph(value: str, kind: str = "") -> Html:
    """A paragraph of plain text."""
    of_kind = f' class="{kind}"' if kind else ""
    return Html(f"<p{of_kind}>{text(value)}</p>")


def lead(sentences: Sequence[str]) -> Html:
    """The summary at the top; its first sentence stands out."""
    return Html(f'<div class="lead">{joined(*map(paragraph, sentences))}</div>')


def cards(figures: Sequence[tuple[str, str]]) -> Html:
    """The few figures that count most: (value, what it is)."""
    items = "".join(f"<li><b>{text(value)}</b><span>{text(name)}</span></li>" for value, name in figures)
    return Html(f'<ul class="cards">{items}</ul>')


def notes(sentences: Sequence[str]) -> Html:
    """What must be kept in mind; nothing if there is nothing."""
    items = "".join(f"<li>{text(sentence)}</li>" for sentence in sentences)
    return Html(f'<ul class="notes">{items}</ul>' if items else "")


def section(title: str, *parts: Html) -> Html:
    """A titled part of the page."""
    return Html(f"<section><h2>{text(title)}</h2>\n{joined(*parts)}</section>")


def image(uri: str, alternative: str, caption: str = "", *, pixels: bool = False, width: int = 0) -> Html:
    """An image given as a ``data:`` URI; ``pixels`` keeps its pixels sharp, ``width`` is in CSS pixels."""
    shown = ' class="pixels"' if pixels else ""
    wide = f' width="{width}"' if width else ""
    below = f"<figcaption>{text(caption)}</figcaption>" if caption else ""
    return Html(f'<figure><img{shown}{wide} src="{uri}" alt="{html.escape(alternative)}">{below}</figure>')


def class_name(name: str, color: str) -> Html:
    """A class with its colour, "#rrggbb"."""
    return Html(f'<span class="swatch" style="background:{safe_color(color)}"></span>{text(name)}')


def safe_color(color: str) -> str:
    """The colour if it is one, else grey: a model's card may say anything."""
    return color if re.fullmatch(r"#[0-9a-fA-F]{6}", color) else "#888888"


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    caption: str = "",
    *,
    diagonal: int = 0,
) -> Html:
    """A table.

    Args:
        header: One cell a column.
        rows: As many cells each.
        caption: Plain text above it.
        diagonal: Of so many rows, mark the cell that is right: the first one of the first row, and so on.
    """
    above = f"<caption>{text(caption)}</caption>" if caption else ""
    head = "".join(f'<th scope="col">{text(cell)}</th>' for cell in header)
    body = []
    for i, row in enumerate(rows):
        cells = "".join(
            f'<td class="diagonal">{text(cell)}</td>' if j == i + 1 <= diagonal else f"<td>{text(cell)}</td>"
            for j, cell in enumerate(row)
        )
        body.append(f"<tr>{cells}</tr>")
    return Html(
        f'<div class="wide"><table>{above}<thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def facts(values: Mapping[str, str]) -> Html:
    """Names and plain values below one another."""
    rows = "".join(f"<tr><td>{text(name)}</td><td>{text(value)}</td></tr>" for name, value in values.items())
    return Html(f'<table class="facts"><tbody>{rows}</tbody></table>')


def page(title: str, about: str, *parts: Html) -> str:
    """The whole page.

    Args:
        title: Plain text.
        about: One line below the title, plain text.
        parts: What stands in it.
    """
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{text(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>{text(title)}</h1>
{paragraph(about, "about")}
{joined(*parts)}
</main>
</body>
</html>
"""

# SPDX-License-Identifier: GPL-3.0-or-later
"""The plugin's texts: collected from the source into ``resources/i18n/*.po``, and compiled for the zip.

Run it after a text was changed: it keeps what is translated, and lists what is not.
"""

from __future__ import annotations

import ast
import datetime as dt
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "resources" / "i18n"
DOMAIN = "timo"
LANGUAGES = ("de", "fr")
HEADER = "# SPDX-License-Identifier: GPL-3.0-or-later"
EPOCH = dt.datetime(1980, 1, 1, tzinfo=dt.timezone.utc)
SCHEMA_TEXTS = ("title", "description", "unit")

Text = str | tuple[str, str]


def texts(root: Path = ROOT) -> Iterator[tuple[Text, str]]:
    """All texts that an analyst reads, each with its file: literals of ``tr`` and ``trn``, schemas."""
    for path in sorted((root / "qgis_plugin").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                words = [one.value for one in node.args[:2] if _is_text(one)]
                if node.func.id == "tr" and words:
                    yield words[0], path.relative_to(root).as_posix()
                elif node.func.id == "trn" and len(words) == 2:
                    yield (words[0], words[1]), path.relative_to(root).as_posix()
    for path in sorted((root / "resources" / "schemas").glob("*.json")):
        schema = json.loads(path.read_text(encoding="utf-8"))
        for entry in schema["properties"].values():
            for name in SCHEMA_TEXTS:
                if entry.get(name):
                    yield entry[name], path.relative_to(root).as_posix()


def template(root: Path = ROOT) -> Catalog:
    """The catalogue that all languages are made from."""
    catalogue = Catalog(charset="utf-8")
    for text, file in texts(root):
        catalogue.add(text, locations=[(file, 0)], flags=["python-brace-format"] if "{" in str(text) else [])
    return catalogue


def read(language: str, root: Path = ROOT) -> Catalog:
    """What is translated; an empty catalogue where nothing is."""
    path = root / "resources" / "i18n" / f"{language}.po"
    if not path.exists():
        return Catalog(locale=language, header_comment=HEADER, project="TiMo for QGIS", fuzzy=False)
    with path.open("rb") as file:
        return read_po(file, locale=language)


def update(language: str, root: Path = ROOT) -> list[str]:
    """Bring a language up to date with the source.

    Returns:
        The texts that have no translation yet.
    """
    catalogue = read(language, root)
    catalogue.update(template(root), no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    path = root / "resources" / "i18n" / f"{language}.po"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        write_po(file, catalogue, width=110, no_location=True, sort_output=True, omit_header=False)
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    # Times would make a difference of every run, and people are not named.
    dated = ('"POT-', '"PO-', '"Generated-By', '"Report-Msgid-Bugs-To', '"Last-Translator', '"Language-Team')
    path.write_text("".join(line for line in lines if not line.startswith(dated)), encoding="utf-8")
    return [
        str(message.id)
        for message in catalogue
        if message.id and not all(message.string if isinstance(message.string, tuple) else [message.string])
    ]


def compiled(root: Path = ROOT) -> Iterator[tuple[str, bytes]]:
    """The catalogues as gettext reads them: names below ``resources/i18n`` and bytes."""
    for path in sorted((root / "resources" / "i18n").glob("*.po")):
        out, catalogue = io.BytesIO(), read(path.stem, root)
        catalogue.creation_date = catalogue.revision_date = EPOCH  # else it would be now
        write_mo(out, catalogue)
        yield f"{path.stem}/LC_MESSAGES/{DOMAIN}.mo", out.getvalue()


def main() -> int:
    """Update all languages; 1 if something is not translated."""
    missing = {language: update(language) for language in LANGUAGES}
    for language, left in missing.items():
        print(f"{language}: {len(left)} not translated")
        for text in left:
            print(f"  {text}")
    return 1 if any(missing.values()) else 0


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


if __name__ == "__main__":
    sys.exit(main())

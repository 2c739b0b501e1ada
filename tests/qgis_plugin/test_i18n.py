# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts are in QGIS's language, and in English where that has none."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

VALUE = re.compile(r"{(\w+(?::[^}]*)?)}")


def test_a_text_without_a_translation_stays_as_it_is(package):
    from timo_qgis.i18n import tr, trn

    assert tr("A text that no catalogue has: {name}", name="{x}") == "A text that no catalogue has: {x}"
    assert trn("{count} layer", "{count} layers", 1) == "1 layer"
    assert trn("{count} layer", "{count} layers", 3) == "3 layers"
    assert tr("") == ""


@pytest.fixture
def translations(build_plugin):
    import translations

    return translations


@pytest.mark.parametrize("language", ["de", "fr"])
def test_every_text_is_translated_with_the_same_values_in_it(translations, language):
    catalogue = translations.read(language)
    there = {message.id: message for message in catalogue if message.id}
    for text in {text for text, _ in translations.texts()}:
        assert text in there, f"run tools/translations.py: {language} lacks {text!r}"
        told = there[text].string
        # One of a kind may be named where many are counted.
        values = [set(VALUE.findall(form)) for form in (text if isinstance(text, tuple) else (text,))]
        for form in told if isinstance(told, tuple) else (told,):
            assert form, f"{language} does not translate {text!r}"
            assert set(VALUE.findall(form)) in values, f"{language}: {form!r}"


@pytest.mark.parametrize(("language", "word"), [("de", "Schließen"), ("fr", "Fermer"), ("xx", "Close")])
def test_qgis_s_language_is_the_plugin_s(package, language, word):
    """A process of its own: the language is chosen when the plugin is loaded."""
    script = "from timo_qgis.i18n import tr; print(tr('Close'))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={
            **os.environ,
            "TIMO_LANGUAGE": language,
            "PYTHONPATH": str(Path(package.__file__).parents[1]),
            "PYTHONIOENCODING": "utf-8",
        },
        check=True,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.stdout.strip() == word


@pytest.mark.parametrize("language", ["de", "fr"])
def test_the_dock_is_in_the_language_and_nothing_is_cut_off(language):
    folder = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", folder / "pytest.ini", folder / "in_language.py"],
        env={**os.environ, "TIMO_LANGUAGE": language},
        check=False,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )
    assert done.returncode == 0, done.stdout

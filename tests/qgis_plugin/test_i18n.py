# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts are in QGIS's language, and in English where that has none."""


def test_a_text_without_a_translation_stays_as_it_is(package):
    from timo_qgis.i18n import tr, trn

    assert tr("A text that no catalogue has: {name}", name="{x}") == "A text that no catalogue has: {x}"
    assert trn("{count} layer", "{count} layers", 1) == "1 layer"
    assert trn("{count} layer", "{count} layers", 3) == "3 layers"
    assert tr("") == ""

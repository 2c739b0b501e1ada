# SPDX-License-Identifier: GPL-3.0-or-later
"""What the analyst reads, in the language of QGIS: English in the source, the others from gettext catalogues.

The catalogue is chosen when this module is first loaded, as QGIS itself takes another language only when it
is started again: texts may therefore be made when a module is loaded. No widget is needed.
"""

from __future__ import annotations

import gettext
import os
from pathlib import Path
from typing import Any

from qgis.PyQt.QtCore import QLocale, QSettings

FOLDER = Path(__file__).resolve().parent / "resources" / "i18n"
DOMAIN = "timo"


def language() -> str:
    """The interface's language as QGIS is set, such as ``de`` or ``pt_BR``."""
    settings = QSettings()
    chosen = str(settings.value("locale/userLocale", "") or "")
    overridden = str(settings.value("locale/overrideFlag", "false")).lower() == "true"
    return os.environ.get("TIMO_LANGUAGE") or (chosen if overridden and chosen else QLocale.system().name())


_catalogue = gettext.translation(DOMAIN, FOLDER, [language(), language()[:2]], fallback=True)


def tr(text: str, **values: Any) -> str:
    """A text in the analyst's language.

    Args:
        text: English, a literal (``tools/translations.py`` collects them) or one from a schema; values stand
            in it as ``{name}``.
        values: What to put in; the text is left as it is where there is none.
    """
    translated = _catalogue.gettext(text) if text else ""
    return translated.format(**values) if values else translated


def trn(one: str, many: str, count: int, **values: Any) -> str:
    """A text that counts, in the form that the language has for this number; ``{count}`` stands in it."""
    return _catalogue.ngettext(one, many, count).format(count=count, **values)

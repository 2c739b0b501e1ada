# SPDX-License-Identifier: GPL-3.0-or-later
"""How a result was made, to read and to copy; and the same again."""

from __future__ import annotations

import html
from typing import Any, Callable, List, Mapping, Optional, Sequence, Tuple

from qgis.PyQt.QtCore import QSize, Qt
from qgis.PyQt.QtWidgets import (
    QApplication,
    QDialog,
    QHBoxLayout,
    QPushButton,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from ..i18n import tr
from ..layers.provenance import facts, spec_of
from ..layers.result_files import Result
from ..schema import parameters
from ..timing import slot
from .help_button import HelpButton

Rows = Sequence[Tuple[str, str]]


class MadeDialog(QDialog):
    """Shows what a file says of itself: it needs neither the job nor the backend.

    Args:
        result: What the file says.
        title: The layer's name.
        job: The job's id; empty if it is not known.
        moment: When the file was written, in words.
        again: Called when the analyst wants the same again; None where that cannot be.
        parent: The window above which it stands.
    """

    def __init__(
        self,
        result: Result,
        title: str,
        job: str,
        moment: str,
        again: Optional[Callable[[], None]],
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("timoMade")
        self.setWindowTitle(tr("How {name} was made", name=title))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._again = again
        general = [(tr("File"), str(result.path)), (tr("Written"), moment), *facts(result.tags, job)]
        asked = _parameters(spec_of(result.tags))
        self._plain = _as_text(general, result, asked)
        self.text = QTextBrowser()
        self.text.setObjectName("timoMadeText")
        self.text.setAccessibleName(tr("How it was made"))
        self.text.setOpenLinks(False)
        self.text.setHtml(_as_html(general, result, asked))
        self.copy = QPushButton(tr("Copy"))
        self.copy.setObjectName("timoMadeCopy")
        self.copy.setToolTip(tr("Put it on the clipboard as text"))
        self.repeat = QPushButton(tr("Run again"))
        self.repeat.setObjectName("timoMadeAgain")
        self.repeat.setToolTip(tr("The same model, series and parameters; the map gets a name that is free"))
        self.repeat.setVisible(again is not None)
        close = QPushButton(tr("Close"))
        close.setObjectName("timoMadeClose")
        close.setDefault(True)
        row = QHBoxLayout()
        row.addWidget(HelpButton("results", self))
        row.addWidget(self.copy)
        row.addWidget(self.repeat)
        row.addStretch(1)
        row.addWidget(close)
        whole = QVBoxLayout(self)
        whole.addWidget(self.text, 1)
        whole.addLayout(row)
        self.copy.clicked.connect(self._on_copy)
        self.repeat.clicked.connect(self._on_again)
        close.clicked.connect(self.accept)

    def sizeHint(self) -> QSize:
        """Wide enough for paths."""
        return QSize(600, 560)

    @slot
    def _on_copy(self) -> None:
        QApplication.clipboard().setText(self._plain)

    @slot
    def _on_again(self) -> None:
        self.accept()
        if self._again is not None:
            self._again()


def _parameters(spec: Mapping[str, Any]) -> List[Tuple[str, str]]:
    """The job's parameters by the titles of its form; those that were left out are not told."""
    titles = {one.name: one.title for one in parameters("predict")}
    found = []
    for name, value in spec.items():
        if value is None or value in ([], ""):
            continue
        title = tr(titles.get(name, name))
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        if isinstance(value, bool):
            text = tr("yes") if value else tr("no")
        found.append((title, text))
    return found


def _as_html(general: Rows, result: Result, asked: Rows) -> str:
    def table(rows: Rows) -> str:
        return "".join(
            f"<tr><td style='padding: 2px 12px 2px 0'><b>{html.escape(title)}</b></td>"
            f"<td style='padding: 2px 0'>{html.escape(text)}</td></tr>"
            for title, text in rows
        )

    parts = [f"<table>{table(general)}</table>"]
    if result.classes:
        rows = "".join(
            f"<tr><td><span style='color: {html.escape(color)}'>■</span>&nbsp;</td>"
            f"<td>{html.escape(name)}</td><td>&nbsp;&nbsp;{value}</td></tr>"
            for value, name, color in result.classes
        )
        parts.append(f"<h4>{html.escape(tr('Classes'))}</h4><table>{rows}</table>")
    if asked:
        parts.append(f"<h4>{html.escape(tr('Parameters'))}</h4><table>{table(asked)}</table>")
    return "".join(parts)


def _as_text(general: Rows, result: Result, asked: Rows) -> str:
    lines = [f"{title}: {text}" for title, text in general]
    if result.classes:
        names = ", ".join(f"{value} {name} ({color})" for value, name, color in result.classes)
        lines += [f"{tr('Classes')}: {names}"]
    return "\n".join([*lines, *(f"{title}: {text}" for title, text in asked)])

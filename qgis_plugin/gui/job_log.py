# SPDX-License-Identifier: GPL-3.0-or-later
"""A job's log: its lines by level, a text to find, and the whole to copy or to keep."""

from __future__ import annotations

from pathlib import Path
from typing import Optional, Tuple

from qgis.gui import QgsFilterLineEdit
from qgis.PyQt.QtGui import QFontDatabase, QGuiApplication, QTextCursor
from qgis.PyQt.QtWidgets import QCheckBox, QHBoxLayout, QPlainTextEdit, QToolButton, QVBoxLayout, QWidget

from ..backend.jobs import JobView
from ..compat import icon
from ..i18n import tr
from ..layers.sources import safe_name
from ..timing import slot
from .curve_export import ask

Lines = Tuple[Tuple[str, str], ...]


class LogView(QWidget):
    """Shows the log of one job, and follows it while it grows."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("timoJobsLog")
        self._job = ""
        self._name = ""
        self._lines: Lines = ()
        self._told = 0
        self.warnings = QCheckBox(tr("Warnings only"))
        self.warnings.setObjectName("timoJobsLogWarnings")
        self.find = QgsFilterLineEdit()
        self.find.setObjectName("timoJobsLogFind")
        self.find.setPlaceholderText(tr("Find"))
        self.find.setAccessibleName(tr("Find in the log"))
        self.find.setToolTip(tr("Enter goes to the next place"))
        self.find.setShowClearButton(True)
        self.copy = _tool("timoJobsLogCopy", "job-copy", tr("Copy the log"))
        self.save = _tool("timoJobsLogSave", "job-save", tr("Save the log…"))
        self.text = QPlainTextEdit()
        self.text.setObjectName("timoJobsLogText")
        self.text.setAccessibleName(tr("Log"))
        self.text.setReadOnly(True)
        self.text.setUndoRedoEnabled(False)
        self.text.setPlaceholderText(tr("The job has not told anything yet."))
        self.text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        row = QHBoxLayout()
        row.addWidget(self.warnings)
        row.addWidget(self.find, 1)
        row.addWidget(self.copy)
        row.addWidget(self.save)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addLayout(row)
        layout.addWidget(self.text, 1)
        self.warnings.toggled.connect(self._write)
        self.find.textChanged.connect(self._on_find)
        self.find.returnPressed.connect(self._on_next)
        self.copy.clicked.connect(self._on_copy)
        self.save.clicked.connect(self._on_save)

    def show_job(self, job: Optional[JobView]) -> None:
        """Show the log of a job."""
        ident, lines, told = (job.id, job.logs, job.logged) if job is not None else ("", (), 0)
        self._name = job.name if job is not None else ""
        same = ident == self._job and told >= self._told
        if same and told == self._told:
            return
        new = job.logged_since(self._told) if job is not None and same else ()
        kept = len(lines) - len(new)
        gone = self._lines[: len(self._lines) - kept]
        self._job, self._lines, self._told = ident, lines, told
        if same and kept:
            self._append(new)
            self._drop(gone)
        else:
            self._write()
        self.copy.setEnabled(bool(lines))
        self.save.setEnabled(bool(lines))

    def _shown(self, lines: Lines) -> str:
        only = self.warnings.isChecked()
        return "\n".join(
            message if level == "info" else f"{level.upper()}  {message}"
            for level, message in lines
            if not only or level != "info"
        )

    def _append(self, lines: Lines) -> None:
        """Add lines below; who reads further up is left where he is."""
        text = self._shown(lines)
        if text:
            self.text.appendPlainText(text)  # Qt follows the end where it was in sight

    def _drop(self, lines: Lines) -> None:
        """Take lines away at the top; what is read, further below, stays where it is."""
        text = self._shown(lines)
        if not text:
            return
        document, bar = self.text.document(), self.text.verticalScrollBar()
        height, place = document.lineCount(), bar.value()
        cursor = QTextCursor(document)
        end = document.findBlockByNumber(text.count("\n") + 1)
        if not end.isValid():
            self.text.clear()
            return
        cursor.setPosition(end.position(), QTextCursor.MoveMode.KeepAnchor)
        cursor.removeSelectedText()
        bar.setValue(place - (height - document.lineCount()))

    @slot
    def _write(self) -> None:
        self.text.setPlainText(self._shown(self._lines))
        self.text.moveCursor(QTextCursor.MoveOperation.End)

    @slot
    def _on_find(self, text: str) -> None:
        self.text.moveCursor(QTextCursor.MoveOperation.Start)
        if text:
            self.text.find(text)

    @slot
    def _on_next(self) -> None:
        text = self.find.text()
        if text and not self.text.find(text):  # from the top again
            self.text.moveCursor(QTextCursor.MoveOperation.Start)
            self.text.find(text)

    @slot
    def _on_copy(self) -> None:
        QGuiApplication.clipboard().setText(self.text.toPlainText())

    @slot
    def _on_save(self) -> None:
        text = self.text.toPlainText() + "\n"

        def write(path: Path) -> None:
            path.write_text(text, encoding="utf-8")

        ask(self, tr("Save the log"), f"{safe_name(self._name)}-log.txt", tr("Text (*.txt)"), write)


def _tool(name: str, picture: str, text: str) -> QToolButton:
    button = QToolButton()
    button.setObjectName(name)
    button.setIcon(icon(picture))
    button.setToolTip(text)
    button.setAccessibleName(text.rstrip("…"))
    button.setAutoRaise(True)
    return button

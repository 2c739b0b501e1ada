# SPDX-License-Identifier: GPL-3.0-or-later
"""The page "TiMo" in QGIS's options: where the backend is, where it keeps its things, and how it is doing."""

from __future__ import annotations

from typing import Optional

from qgis.gui import QgsFileWidget, QgsOptionsPageWidget
from qgis.PyQt.QtCore import QProcess, QUrl
from qgis.PyQt.QtGui import QDesktopServices, QFontDatabase, QGuiApplication
from qgis.PyQt.QtWidgets import QGroupBox, QHBoxLayout, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget

from ..backend.launcher import find
from ..backend.others import for_others, proxy
from ..compat import caption, form_layout, label
from ..i18n import tr
from ..settings import ENVIRONMENT, Settings, overridden
from ..timing import inside_qgis, slot
from .help_button import HelpButton


class OptionsPage(QgsOptionsPageWidget):
    """What is kept when OK is pressed; it holds from the next start of QGIS."""

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.setObjectName("timoOptions")
        self._settings = Settings.load()
        self._doctor: Optional[QProcess] = None
        self.program = _file(
            "timoOptionsProgram", self._settings.backend_program, tr("The program timo-backend")
        )
        self.program.lineEdit().setPlaceholderText(tr("Looked for on the computer"))
        self.home = _file("timoOptionsHome", self._settings.home, tr("The backend's folder"), folder=True)
        self.home.lineEdit().setPlaceholderText(str(Settings().home_folder))
        form = form_layout()
        form.addRow(caption(tr("Backend")), self.program)
        form.addRow(caption(tr("Folder")), self.home)
        form.addRow(
            caption(""),
            label(
                tr(
                    "Models, series, labels and the list of jobs are kept in the folder. "
                    "Changes hold when QGIS is started again, and in Processing at once; a backend that runs "
                    "in the same folder is used until it ends, half an hour after the last job, when QGIS is "
                    "closed."
                ),
                "timoOptionsHint",
                muted=True,
            ),
        )
        whole = QVBoxLayout(self)
        whole.addLayout(form)
        for name, widget in (("backend_program", self.program), ("home", self.home)):
            if overridden(name):
                widget.setEnabled(False)
                text = tr("{variable} is set in the environment, and holds.", variable=ENVIRONMENT[name])
                form.addRow(caption(""), label(text, muted=True))
        whole.addWidget(self._report_box())
        whole.addStretch(1)

    def apply(self) -> None:
        """Keep what was chosen."""
        changes = {}
        if not overridden("backend_program"):
            changes["backend_program"] = self.program.filePath().strip()
        if not overridden("home"):
            changes["home"] = self.home.filePath().strip()
        self._settings.save(**changes)

    def _report_box(self) -> QGroupBox:
        box = QGroupBox(tr("Report"))
        self.make = QPushButton(tr("Make a report"))
        self.make.setObjectName("timoOptionsReport")
        self.copy = QPushButton(tr("Copy"))
        self.copy.setObjectName("timoOptionsCopy")
        self.copy.setEnabled(False)
        self.folder = QPushButton(tr("Open the folder"))
        self.folder.setObjectName("timoOptionsFolder")
        self.report = QPlainTextEdit()
        self.report.setObjectName("timoOptionsReportText")
        self.report.setAccessibleName(tr("Report"))
        self.report.setReadOnly(True)
        self.report.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.report.setPlaceholderText(
            tr(
                "What the backend runs on, its last jobs and errors, for whoever helps you. "
                "It has no paths of your folders and no keys."
            )
        )
        row = QHBoxLayout()
        for button in (self.make, self.copy):
            row.addWidget(button)
        row.addStretch(1)
        row.addWidget(self.folder)
        row.addWidget(HelpButton("install", self))
        layout = QVBoxLayout(box)
        layout.addLayout(row)
        layout.addWidget(self.report, 1)
        self.make.clicked.connect(self._on_report)
        self.copy.clicked.connect(self._on_copy)
        self.folder.clicked.connect(self._on_folder)
        return box

    @slot
    def _on_report(self) -> None:
        program = find(self.program.filePath().strip())
        if program is None:
            self.report.setPlainText(tr("The program timo-backend was not found: choose it above."))
            return
        self.make.setEnabled(False)
        self._doctor = QProcess(self)
        self._doctor.setProgram(str(program))
        self._doctor.setArguments(["doctor", "--home", str(self._settings.home_folder)])
        self._doctor.setProcessEnvironment(for_others(proxy()))
        self._doctor.setProcessChannelMode(QProcess.ProcessChannelMode.MergedChannels)
        self._doctor.finished.connect(self._on_made)
        self._doctor.errorOccurred.connect(self._on_made)
        self._doctor.start()

    @slot
    def _on_made(self) -> None:
        if self._doctor is None:
            return
        text = bytes(self._doctor.readAll()).decode("utf-8", "replace").strip()
        self.report.setPlainText(text or tr("{program} gave no report.", program=self._doctor.program()))
        self.copy.setEnabled(bool(text))
        self.make.setEnabled(True)
        self._doctor = None

    @slot
    def _on_copy(self) -> None:
        QGuiApplication.clipboard().setText(self.report.toPlainText())

    @slot
    def _on_folder(self) -> None:
        with inside_qgis():
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._settings.home_folder)))


def _file(name: str, path: str, title: str, *, folder: bool = False) -> QgsFileWidget:
    widget = QgsFileWidget()
    widget.setObjectName(name)
    widget.setDialogTitle(title)
    if folder:
        widget.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
    widget.setFilePath(path)
    widget.lineEdit().setAccessibleName(title)
    return widget

# SPDX-License-Identifier: GPL-3.0-or-later
"""The dialog that sets the backend up: what will be done and where, its progress, and what it computes on."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from qgis.PyQt.QtCore import QSize, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QDialogButtonBox, QFrame, QPushButton, QVBoxLayout, QWidget

from ..backend.installer import Installer, Progress, Ready, Request
from ..backend.setup_plan import environment_of
from ..backend.survey import Survey, Surveyor, shipped, version_of
from ..compat import label
from ..i18n import tr
from ..shared import Shared
from ..timing import slot
from .fitting_dialog import FittingDialog
from .help_button import HelpButton
from .setup_choice import EXISTING, HERE, Choices
from .setup_leftover import LeftoverRow
from .setup_progress import ProgressBox


class SetupDialog(FittingDialog):
    """Does not block QGIS; closed while it works, it goes on, and can be opened again.

    Args:
        shared: What all pages share.
        parent: The dock.
    """

    ready = pyqtSignal(str)
    """The backend's program, which can compute."""

    def __init__(self, shared: Shared, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.setObjectName("timoSetup")
        self.setWindowTitle(tr("Set up TiMo"))
        wheel, home = shipped(), shared.settings.home_folder
        self.survey: Optional[Survey] = None
        self.installer = Installer(home, wheel, version_of(wheel), shared.background, self)
        self.surveyor = Surveyor(home, shared.background, self)
        self.intro = label(
            tr(
                "TiMo trains and maps in a program of its own, with PyTorch, beside QGIS. It is installed "
                "once, into a folder of yours; QGIS itself is not changed."
            ),
            "timoSetupIntro",
        )
        self.choices = Choices(home)
        self.left = LeftoverRow(shared)
        self.progress = ProgressBox()
        line = QFrame()
        line.setFrameShape(QFrame.Shape.HLine)
        line.setFrameShadow(QFrame.Shadow.Sunken)
        self.start = QPushButton(tr("Set up"))
        self.start.setObjectName("timoSetupStart")
        self.start.setDefault(True)
        self.cancel = QPushButton(tr("Cancel"))
        self.cancel.setObjectName("timoSetupCancel")
        self.cancel.setToolTip(tr("Stops the set-up and removes what is not done"))
        self.leave = QPushButton(tr("Close"))
        self.leave.setObjectName("timoSetupClose")
        buttons = QDialogButtonBox()
        buttons.addButton(self.start, QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.addButton(self.cancel, QDialogButtonBox.ButtonRole.ActionRole)
        buttons.addButton(self.leave, QDialogButtonBox.ButtonRole.RejectRole)
        buttons.addButton(HelpButton("install", self), QDialogButtonBox.ButtonRole.HelpRole)
        layout = QVBoxLayout(self)
        layout.setSpacing(10)
        for widget in (self.intro, self.choices, self.progress):
            layout.addWidget(widget)
        layout.setStretchFactor(self.progress, 1)
        layout.addStretch(0)  # takes the room where there is no progress
        for widget in (self.left, line, buttons):
            layout.addWidget(widget)
        self._connect()
        self._show(idle=True)

    def sizeHint(self) -> QSize:
        """Wide enough for a sentence to be read, and for the details."""
        return QSize(560, max(super().sizeHint().height(), 420))

    def open_for(self) -> None:
        """Show it, and look at the computer again unless it works."""
        if not self.installer.busy:
            if self.choices.isHidden():  # it has ended well: another one begins anew
                self.progress.setVisible(False)
                self.start.setText(tr("Set up"))
                self.start.setDefault(True)
                self._show(idle=True)
                self.start.setFocus(Qt.FocusReason.OtherFocusReason)
            self.surveyor.look()
            self.left.look()
        self.show()
        self.raise_()
        self.activateWindow()

    def end(self) -> None:
        """The plugin is unloaded."""
        self.installer.close()
        self.close()

    def _connect(self) -> None:
        self.surveyor.found.connect(self._on_survey)
        self.progress.details.collapsedStateChanged.connect(self.fit_soon)
        self.choices.changed.connect(self._on_choice)
        self.left.changed.connect(self._on_choice)
        self.start.clicked.connect(self._on_start)
        self.cancel.clicked.connect(self._on_cancel)
        self.leave.clicked.connect(self._on_close)
        self.installer.progressed.connect(self._on_progress)
        self.installer.said.connect(self.progress.add_line)
        self.installer.failed.connect(self._on_failed)
        self.installer.cancelled.connect(self._on_cancelled)
        self.installer.finished.connect(self._on_finished)

    def _show(self, *, idle: bool, done: bool = False) -> None:
        self.choices.setEnabled(idle)
        self.choices.setVisible(not done)
        self.left.setEnabled(idle)
        self.intro.setVisible(not done)
        self.start.setVisible(idle and not done)
        self.cancel.setVisible(not idle)
        self.cancel.setEnabled(True)
        self.leave.setText(tr("Close") if idle else tr("Hide"))
        self.leave.setToolTip("" if idle else tr("The set-up goes on meanwhile"))
        self._on_choice()

    @slot
    def _on_survey(self, found: Survey) -> None:
        self.survey = found
        self.choices.show_survey(found)
        self._on_choice()

    @slot
    def _on_choice(self) -> None:
        busy = self.installer.busy or self.left.busy
        self.start.setEnabled(not busy and self._request() is not None)
        self.fit_soon()

    def _request(self) -> Optional[Request]:
        """What is chosen; None while it is not complete."""
        kind, folder = self.choices.chosen()
        survey = self.survey
        if survey is None or (kind != HERE and not folder):
            return None
        if kind == EXISTING:
            return Request(survey.machine.system, environment=environment_of(Path(folder).expanduser()))
        if survey.lock is None:
            return None
        wheels = None if kind == HERE else Path(folder).expanduser()
        return Request(survey.machine.system, survey.lock, survey.uv, wheels)

    @slot
    def _on_start(self) -> None:
        request = self._request()
        if request is not None:
            self.progress.begin()
            self.installer.start(request)
            self._show(idle=not self.installer.busy)

    @slot
    def _on_cancel(self) -> None:
        self.cancel.setEnabled(False)
        self.installer.cancel()

    @slot
    def _on_close(self) -> None:
        self.close()

    @slot
    def _on_progress(self, progress: Progress) -> None:
        self.progress.show_progress(progress)

    @slot
    def _on_failed(self, why: str) -> None:
        self.progress.show_trouble(why)
        self.start.setText(tr("Retry"))
        self._show(idle=True)
        self.start.setFocus(Qt.FocusReason.OtherFocusReason)

    @slot
    def _on_cancelled(self) -> None:
        self.progress.show_trouble(tr("The set-up was cancelled; nothing of it is left."))
        self.start.setText(tr("Set up"))
        self._show(idle=True)

    @slot
    def _on_finished(self, ready: Ready) -> None:
        self.progress.show_done(ready.device)
        self._show(idle=True, done=True)
        self.leave.setDefault(True)
        self.left.hold()
        self.ready.emit(str(ready.program))
        self.left.look()  # the environment that was used before is one of them now

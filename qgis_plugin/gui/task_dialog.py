# SPDX-License-Identifier: GPL-3.0-or-later
"""What dialogs over long work share: why it cannot begin, progress, Cancel, and what came of it."""

from __future__ import annotations

from typing import Any, Callable, Optional

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from ..compat import ProgressBar, label
from ..i18n import tr
from ..layers.raster_blocks import Tick
from ..layers.task import RasterTask
from ..timing import slot
from .fitting_dialog import FittingDialog
from .help_button import HelpButton


class TaskDialog(FittingDialog):
    """Not modal: the map stays usable. Closing it stops the work.

    Args:
        name: Prefix of the object names.
        title: Of the window.
        intro: One or two sentences at its top.
        verb: The main button's text.
        page: The user guide's page that tells of it.
        parent: The window above which it stands.
    """

    def __init__(self, name: str, title: str, intro: str, verb: str, page: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self.setWindowTitle(title)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._task: Optional[RasterTask] = None
        self.body = QVBoxLayout()
        self.body.setSpacing(8)
        self.body.addWidget(label(intro, f"{name}Intro", muted=True))
        self.message = label("", f"{name}Message")
        self.message.hide()
        self.bar = ProgressBar()
        self.bar.setObjectName(f"{name}Progress")
        self.bar.setRange(0, 100)
        policy = self.bar.sizePolicy()
        policy.setRetainSizeWhenHidden(True)  # the buttons stay where they are
        self.bar.setSizePolicy(policy)
        self.bar.hide()
        self.go = QPushButton(verb)
        self.go.setObjectName(f"{name}Run")
        self.go.setDefault(True)
        self.end = QPushButton(tr("Close"))
        self.end.setObjectName(f"{name}Close")
        self.end.setAutoDefault(False)
        row = QHBoxLayout()
        row.addWidget(HelpButton(page, self))
        row.addWidget(self.bar, 1)
        row.addWidget(self.end)
        row.addWidget(self.go)
        whole = QVBoxLayout(self)
        whole.setSpacing(10)
        whole.addLayout(self.body, 1)
        whole.addWidget(self.message)
        whole.addLayout(row)
        self.go.clicked.connect(self._on_go)
        self.end.clicked.connect(self._on_close)

    @property
    def busy(self) -> bool:
        """Whether the work runs."""
        return self._task is not None

    def why_not(self) -> str:
        """Why the work cannot begin, in a sentence that says what to do; empty if it can."""
        return ""

    def begin(self) -> None:
        """Begin it: calls ``work``."""

    def work(self, title: str, function: Callable[[Tick], Any], done: Callable[[Any], None]) -> None:
        """Run a function in a task of QGIS's.

        Args:
            title: What the task list calls it.
            function: Gets a ``Tick``; touches no layer and no widget.
            done: Takes its result, on the interface's thread; not called when it failed or was stopped.
        """
        task = RasterTask(title, function, self)
        self._task = task
        task.progressed.connect(self._on_progress)
        task.ended.connect(lambda result, problem: self._on_end(result, problem, done))
        self.tell("")
        self.bar.setValue(0)
        self.bar.show()
        self.end.setText(tr("Cancel"))
        self.validate()
        task.start()

    def tell(self, sentence: str) -> None:
        """Show a sentence below the form; an empty one hides it."""
        self.message.setText(sentence)
        self.message.setVisible(bool(sentence))
        self.fit_soon()

    def validate(self) -> None:
        """Enable the main button if nothing speaks against it, and say what does."""
        why = self.why_not()
        self.go.setEnabled(not why and not self.busy)
        if not self.busy:
            self.tell(why)

    def done(self, code: int) -> None:
        """The window closes: by a button, Escape or its frame."""
        if self._task is not None:
            self._task.cancel()
        super().done(code)

    @slot
    def _on_go(self) -> None:
        if not self.busy and not self.why_not():
            self.begin()

    @slot
    def _on_close(self) -> None:
        if self._task is not None:
            self.end.setEnabled(False)
            self._task.cancel()
        else:
            self.reject()

    @slot
    def _on_progress(self, percent: float) -> None:
        self.bar.setValue(round(percent))

    @slot
    def _on_end(self, result: Any, problem: str, done: Callable[[Any], None]) -> None:
        self._task = None
        self.bar.hide()
        self.end.setText(tr("Close"))
        self.end.setEnabled(True)
        self.validate()
        if problem:
            self.tell(problem)
        elif result is not None:
            done(result)
        else:
            self.tell(tr("Stopped; nothing was written."))

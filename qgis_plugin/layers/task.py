# SPDX-License-Identifier: GPL-3.0-or-later
"""Long work on rasters and copies of layers as a task of QGIS: in its list, with progress and cancel."""

from __future__ import annotations

from typing import Any, Callable, Optional

from qgis.core import QgsApplication, QgsTask
from qgis.PyQt.QtCore import QObject, pyqtSignal

from ..i18n import tr
from .layer_copy import CopyError
from .raster_blocks import RasterError, StoppedError, Tick


class RasterTask(QObject):
    """Runs a function in one of QGIS's threads and tells the interface's thread what became of it.

    Args:
        title: What the task list calls it.
        function: Gets a ``Tick``; touches no layer and no widget.
        parent: Whose it is.
    """

    progressed = pyqtSignal(float)
    """0 to 100."""
    ended = pyqtSignal(object, str)
    """What the function returned, and why it did not: empty if all went well, or if it was stopped."""

    def __init__(self, title: str, function: Callable[[Tick], Any], parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self._task: Optional[_Task] = _Task(title, function)
        self._task.progressChanged.connect(self.progressed)
        self._task.left.connect(self._on_end)

    def start(self) -> None:
        """Put it into QGIS's task manager, which owns it from now on."""
        QgsApplication.taskManager().addTask(self._task)

    def cancel(self) -> None:
        """Stop it as soon as it looks; what it had begun to write is taken away."""
        if self._task is not None:
            self._task.cancel()

    def _on_end(self, result: Any, problem: str) -> None:
        self._task = None  # the manager deletes it
        self.ended.emit(result, problem)


class _Task(QgsTask):
    left = pyqtSignal(object, str)

    def __init__(self, title: str, function: Callable[[Tick], Any]) -> None:
        super().__init__(title, QgsTask.Flag.CanCancel)
        self.setObjectName("timoTask")  # by which it is found when the plugin is unloaded
        self._function = function
        self._result: Any = None
        self._problem = ""

    def run(self) -> bool:
        """In a thread of QGIS's."""
        try:
            self._result = self._function(self._tick)
        except StoppedError:
            return False
        except (RasterError, CopyError) as error:
            self._problem = str(error)
            return False
        except Exception as error:  # a thread's exception would be lost
            self._problem = tr(
                "Something went wrong in TiMo: {kind}: {why}.", kind=type(error).__name__, why=error
            )
            return False
        return True

    def finished(self, _good: bool) -> None:
        """On the interface's thread."""
        self.left.emit(self._result, self._problem)

    def _tick(self, share: float) -> bool:
        self.setProgress(100 * min(max(share, 0.0), 1.0))
        return not self.isCanceled()

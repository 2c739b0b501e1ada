# SPDX-License-Identifier: GPL-3.0-or-later
"""A map tool that is lent the map for a while, and gives it back to the tool that had it before."""

from __future__ import annotations

from typing import Callable, Optional

from qgis.gui import QgsMapCanvas, QgsMapTool
from qgis.PyQt import sip

from ..timing import slot


class Loan:
    """Gives the map and its keyboard to a tool, until ``end``, or until another tool takes the map.

    Args:
        canvas: The map.
        tool: Has it from now on; it is deleted at the end.
        taken: Called when another tool has taken the map.
    """

    def __init__(self, canvas: QgsMapCanvas, tool: QgsMapTool, taken: Callable[[], None]) -> None:
        self._canvas, self._tool, self._taken = canvas, tool, taken
        self._before: Optional[QgsMapTool] = canvas.mapTool()
        self._earlier: Optional[Loan] = getattr(self._before, "loan", None)
        self._over = False
        tool.loan = self
        tool.deactivated.connect(self._on_deactivated)
        canvas.setMapTool(tool)
        canvas.setFocus()

    def end(self) -> None:
        """The map has its former tool back, if that is still there; not where another has it already."""
        if self._over:
            return
        self._over = True
        if sip.isdeleted(self._tool):
            return
        if not sip.isdeleted(self._canvas) and self._canvas.mapTool() is self._tool:
            before = self._former()
            if before is not None:
                self._canvas.setMapTool(before)
            else:
                self._canvas.unsetMapTool(self._tool)
        self._tool.deleteLater()

    @slot
    def _on_deactivated(self) -> None:
        if not self._over:
            self._over = True
            if not sip.isdeleted(self._tool):
                self._tool.deleteLater()
            self._taken()

    def _former(self) -> Optional[QgsMapTool]:
        if self._earlier is not None and self._earlier._over:
            return self._earlier._former()  # that tool is gone: whoever had the map before it
        return None if self._before is None or sip.isdeleted(self._before) else self._before

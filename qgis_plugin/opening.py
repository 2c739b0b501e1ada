# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the dock piece by piece: QGIS's interface has its turn while modules load, and between the pages.

What Python holds then, of QGIS and of other plugins, too, is frozen until this one is unloaded: to look
through all of it for garbage, as Python does when many things are new, holds the interface for a tenth of a
second. The price: what of it becomes garbage in a circle meanwhile is taken away after that.
"""

from __future__ import annotations

import gc
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from threading import Thread
from typing import Any, Generator, List

from qgis.PyQt.QtCore import Qt

from .timing import inside_qgis

_frozen = False


def freeze() -> None:
    """Have Python look no more for garbage among what there is."""
    global _frozen  # noqa: PLW0603  one for the process
    gc.freeze()
    _frozen = True


def thaw() -> None:
    """Have it look there again, if it was we who stopped it."""
    global _frozen  # noqa: PLW0603
    if _frozen:
        gc.unfreeze()
        _frozen = False


class Opening:
    """The dock while it is being made; a thread loads its modules.

    Args:
        iface: QGIS's interface.
    """

    def __init__(self, iface: Any) -> None:
        self._iface = iface
        self._loader = Thread(target=_load, name="timo-modules", daemon=True)
        self._loader.start()
        self._steps = self._make()
        self.dock: Any = None
        """The dock, once it is made and in the window."""

    def loading(self) -> bool:
        """Whether the modules are not all there: a step would have to wait for them."""
        return self._loader.is_alive()

    def step(self) -> bool:
        """Make the next piece.

        Returns:
            Whether there are more.

        Raises:
            ImportError: pyzmq is missing.
        """
        self._loader.join()
        more = next(self._steps, None) is not None
        if not more:
            freeze()
        return more

    def give_up(self) -> None:
        """Leave nothing of what is made so far."""
        self._loader.join()  # QGIS takes the plugin's modules away next
        self._steps.close()
        thaw()

    def _make(self) -> Generator[str, None, None]:
        from .backend.link import Backend
        from .background import Background
        from .gui.dock import TimoDock, TrainPage, make_pages
        from .settings import Settings
        from .shared import Shared

        settings, window = Settings.load(), self._iface.mainWindow()
        backend = Backend(settings.backend_program, settings.home_folder, window)
        shared = Shared(self._iface, settings, backend, Background(window))
        made: List[Any] = []
        try:
            yield from make_pages(shared, made)
            dock = TimoDock(shared, made, window)
            made.insert(0, dock)
            yield dock.objectName()
            yield from dock.fill()
            with inside_qgis():
                self._iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
                window.resizeDocks([dock], [dock.sizeHint().width()], Qt.Orientation.Horizontal)
            yield "window"
        except BaseException:  # given up, or at fault
            if made and isinstance(made[0], TimoDock):
                made[0].end()
            shared.background.close()
            if backend.close():
                made.append(backend)
            made += [part for page in made if isinstance(page, TrainPage) for part in page.loose]
            for one in (*made, shared.background):
                one.deleteLater()
            thaw()
            raise
        self.dock = dock


def _load() -> None:
    """Load what the dock stands on, pyzmq from our own folder where QGIS has none."""
    freeze()
    with suppress(ImportError):  # raised again, and said, when the dock is made
        if find_spec("zmq") is None:
            from .backend.pyzmq import offer
            from .settings import Settings

            offer(Settings.load().home_folder)
        import_module(".gui.dock", __package__)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that are not QGIS's: the environment they get, and their end with all that they started."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import Dict, List, Mapping, Optional

from qgis.core import QgsNetworkAccessManager
from qgis.PyQt.QtCore import QCoreApplication, QProcess, QProcessEnvironment
from qgis.PyQt.QtNetwork import QNetworkProxy

from .environment import clean, proxy_variables

KINDS = {
    QNetworkProxy.ProxyType.HttpProxy: "http",
    QNetworkProxy.ProxyType.HttpCachingProxy: "http",
    QNetworkProxy.ProxyType.Socks5Proxy: "socks5h",
}


def for_others(more: Optional[Mapping[str, str]] = None) -> QProcessEnvironment:
    """QGIS's environment without what is its own.

    Args:
        more: Variables to add.
    """
    made = QProcessEnvironment()
    system = QProcessEnvironment.systemEnvironment()
    names = system.keys()
    for name, value in {**clean({name: system.value(name) for name in names}), **(more or {})}.items():
        made.insert(name, value)
    return made


def proxy() -> Dict[str, str]:
    """QGIS's own proxy, as variables; none where it has none. To be called on the interface's thread."""
    manager = QgsNetworkAccessManager.instance()
    used = manager.fallbackProxy()
    return proxy_variables(
        KINDS.get(used.type(), "http"),
        used.hostName() if used.type() in KINDS else "",
        used.port(),
        used.user(),
        used.password(),
        [*manager.excludeList(), *manager.noProxyList()],
    )


def kill(process: QProcess) -> Optional[QProcess]:
    """End a program and all that it started, at once; its ``finished`` comes. It doesn't wait.

    Returns:
        What does it, for one who must wait; None: it is done.
    """
    number = process.processId()
    if not number:
        return None
    asking = QProcess(QCoreApplication.instance())
    asking.finished.connect(asking.deleteLater)
    if sys.platform == "win32":
        asking.start("taskkill", ["/PID", str(number), "/T", "/F"])
        return asking

    def killed(*_: object) -> None:
        listed = bytes(asking.readAllStandardOutput()).decode(errors="replace")
        for each in (*descendants(listed, number), number):
            with suppress(OSError):
                os.kill(each, signal.SIGKILL)

    asking.finished.connect(killed)
    asking.errorOccurred.connect(killed)  # there is no ps
    asking.start("ps", ["-A", "-o", "pid=,ppid="])
    return asking


def descendants(listed: str, ancestor: int) -> List[int]:
    """The processes that one started, and those that they did.

    Args:
        listed: A line each: its number, and its parent's.
        ancestor: The number of the one.
    """
    parents = dict(tuple(map(int, line.split())) for line in listed.splitlines() if line.strip())
    found: List[int] = []
    new = [ancestor]
    while new:
        new = [child for child, parent in parents.items() if parent in new]
        found += new
    return found

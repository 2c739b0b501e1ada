# SPDX-License-Identifier: GPL-3.0-or-later
"""What other programs see of QGIS's environment: none of its libraries, and its proxy."""

from __future__ import annotations

import ntpath
import posixpath
import sys
from typing import Dict, Iterable, Mapping
from urllib.parse import quote

LEFT_OUT = (
    "PYTHON", "VIRTUAL_ENV", "CONDA", "PIP_", "UV_",
    "QT_", "QML", "QGIS", "GDAL", "OGR_", "PROJ_", "GEOTIFF", "OSGEO4W", "O4W_", "GISBASE", "GRASS",
    "LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_", "TIMO_SLOT_TIMES", "TIMO_LANGUAGE",
)  # fmt: skip
"""Beginnings of the names of variables that make another Python or GDAL load QGIS's files."""
KEPT = (
    "UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_INSECURE_HOST",
    "UV_NATIVE_TLS", "UV_SYSTEM_CERTS", "UV_PYTHON_INSTALL_MIRROR", "UV_HTTP_TIMEOUT", "UV_KEYRING_PROVIDER",
)  # fmt: skip
"""Where an organisation has uv look for packages, and how it is reached."""


def clean(environment: Mapping[str, str], system: str = sys.platform) -> Dict[str, str]:
    """An environment without what is QGIS's own.

    Args:
        environment: QGIS's.
        system: As ``sys.platform`` names it.
    """
    windows = system == "win32"
    kept = {
        name: value
        for name, value in environment.items()
        if name.upper() in KEPT or not name.upper().startswith(LEFT_OUT)
    }
    roots = [
        value for name, value in environment.items() if name.upper() in ("OSGEO4W_ROOT", "QGIS_PREFIX_PATH")
    ]
    for name, value in list(kept.items()):
        if name.upper() == "PATH":
            kept[name] = _without(value, roots, windows)
    return kept


def proxy_variables(
    kind: str, host: str, port: int, user: str, password: str, excluded: Iterable[str] = ()
) -> Dict[str, str]:
    """A proxy as programs take it from their environment.

    Args:
        kind: ``http`` or ``socks5h``.
        host: Empty: there is none, and nothing is said.
        port: 0: the kind's usual one.
        user: Its user; with a password, if it has one.
        password: Likewise.
        excluded: Addresses that are reached without it.
    """
    if not host:
        return {}
    name = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    url = f"{kind}://{f'{name}@' if name else ''}{host}{f':{port}' if port else ''}"
    told = {"HTTP_PROXY": url, "HTTPS_PROXY": url, "ALL_PROXY": url}
    hosts = ["localhost", "127.0.0.1", *(_host(each) for each in excluded)]
    told["NO_PROXY"] = ",".join(dict.fromkeys(host for host in hosts if host))
    return {**told, **{name.lower(): value for name, value in told.items()}}


def _host(address: str) -> str:
    return address.rpartition("://")[2].partition("/")[0]


def _without(path: str, roots: Iterable[str], windows: bool) -> str:
    """A PATH without the folders that lie in one of these."""
    names = ntpath if windows else posixpath
    inside = [
        names.normcase(names.normpath(root))
        for root in roots
        if root and names.normpath(root) not in ("/", "/usr")
    ]

    def ours(entry: str) -> bool:
        folder = names.normcase(names.normpath(entry))
        return any(folder == root or folder.startswith(root + names.sep) for root in inside)

    return names.pathsep.join(entry for entry in path.split(names.pathsep) if entry and not ours(entry))

# SPDX-License-Identifier: GPL-3.0-or-later
"""What the environment of a worker keeps GDAL from: programs in files, addresses that no parameter names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from timo import access
from timo.access import Access
from timo_backend import paths

# Formats of GDAL whose files are addresses, pipelines, or labels that name another file: no task needs one.
_SKIPPED = (
    "DAAS,EEDA,EEDAI,GDALG,GTI,HTTP,NGW,OGCAPI,PLMOSAIC,PLSCENES,STACIT,STACTA,WCS,WMS,WMTS,"
    "ISIS2,ISIS3,MRF,PDS,PDS4,VICAR,"
    "ADBC,AmigoCloud,Carto,CSW,Elasticsearch,GPSBabel,OAPIF,OGR_VRT,WFS"
)


def environment(task: str, spec: Mapping[str, Any], allowed: Access) -> dict[str, str]:
    """The variables that a job's worker gets beside the server's own."""
    variables = {
        access.VARIABLE: allowed.to_text(),
        "GDAL_VRT_ENABLE_PYTHON": "NO",
        "GDAL_SKIP": _SKIPPED,
    }
    if not paths.may_use_network(task, spec):
        variables["CPL_VSIL_CURL_ALLOWED_FILENAME"] = "/none"
    return variables

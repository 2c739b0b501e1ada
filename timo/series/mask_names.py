# SPDX-License-Identifier: GPL-3.0-or-later
"""Which bands and files are masks, by their names. The plugin has this file, too."""

from __future__ import annotations

import re

_NAMES: tuple[tuple[str, str], ...] = (
    (r"SCL|SCENE[_ ]?CLASSIFICATION(?:[_ ]MAP)?", "scl"),
    (r"FMASK\d?", "fmask"),
    (r"QA[_ ]?PIXEL", "qa_pixel"),
    (r"QA[_ ]?RADSAT", "qa_radsat"),
    (r"PIXEL[_ ]?QA", "pixel_qa"),
    (r"BQA", "bqa"),
    (r"QA60", "qa60"),
    (r"CLM", "clm"),
    (r"PIXEL[_ ]RELIABILITY|SUMMARYQA", "reliability"),
    (r"STATE[_ ](?:1KM|500M|250M)", "state"),
)


def _word(pattern: str) -> re.Pattern[str]:
    """What stands in a name between other characters than letters and digits."""
    return re.compile(rf"(?<![A-Z0-9])(?:{pattern})(?![A-Z0-9])", re.IGNORECASE)


_WORDS = tuple((_word(pattern), scheme) for pattern, scheme in _NAMES)
_QUALITY = _word(r"QA|QC|QUALITY|CLP|MSK_(?:CLDPRB|SNWPRB|CLASSI)")


def scheme_of(name: str, file_name: str = "") -> str | None:
    """Which scheme a band or a file of this name follows; None if none that is known here.

    Args:
        name: Of a band, or of a file without its folder and extension.
        file_name: Where ``name`` is a band's: HLS is told by its files' names.
    """
    for word, scheme in _WORDS:
        if word.search(name):
            hls = scheme == "fmask" and re.search(r"HLS\.[SL]30", f"{name} {file_name}", re.IGNORECASE)
            return "fmask_hls" if hls else scheme
    return None


def is_quality(name: str) -> bool:
    """Whether a band of this name tells quality in numbers that no scheme here reads."""
    return _QUALITY.search(name) is not None


def scheme_of_folder(name: str) -> str | None:
    """The scheme of a folder that is named after one, such as scl or fmask; None for other folders."""
    for pattern, scheme in _NAMES:
        if re.fullmatch(rf"(?:{pattern})(?:[_ ]?\d\dm?|s)?", name, re.IGNORECASE):
            return scheme
    return None

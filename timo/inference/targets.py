# SPDX-License-Identifier: GPL-3.0-or-later
"""Where results shall stand: checked before hours of work, and put there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import rasterio
from rasterio.errors import RasterioError

from timo.disk import fresh, unwritten
from timo.errors import OutputError
from timo.series.facts import reason


def check_folder(folder: Path) -> None:
    """Fail if no file can be made in a folder.

    Raises:
        OutputError: Naming the folder.
    """
    if not folder.is_dir():
        raise OutputError(
            "output_no_folder",
            f"The folder '{folder}' for the output does not exist.",
            "Make it, or pick another.",
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(
            "output_unwritable",
            f"The folder '{folder}' cannot be written to.",
            "Pick one that you may write to.",
        )


def check_raster(path: Path, *, overwrite: bool, sources: Sequence[Path] = ()) -> None:
    """``check_target`` of a raster."""
    check_target(path, "GeoTIFF", (".tif", ".tiff"), overwrite=overwrite, sources=sources)


def check_target(
    path: Path, kind: str, suffixes: tuple[str, ...], *, overwrite: bool, sources: Sequence[Path] = ()
) -> None:
    """Fail early, before hours of work, if a file cannot be written where it shall stand.

    Args:
        path: The file.
        kind: What it is called.
        suffixes: Of its name, in lower case.
        overwrite: It may stand there already.
        sources: Files that it must not replace.

    Raises:
        OutputError: Naming the path and the reason.
    """
    check_folder(path.parent)
    if path.suffix.lower() not in suffixes:
        raise OutputError(
            "output_suffix",
            f"The output '{path}' is not named as a {kind}.",
            f"Give it a name that ends in {suffixes[0]}.",
        )
    if path.is_dir():
        raise OutputError("output_is_folder", f"The output '{path}' is a folder.", "Give the name of a file.")
    if any(path.exists() and source.exists() and path.samefile(source) for source in sources):
        raise OutputError(
            "output_is_input",
            f"The output '{path}' is one of the inputs.",
            "Pick another name for the output.",
        )
    if path.exists() and not overwrite:
        raise OutputError(
            "output_exists", f"'{path}' exists already.", "Pick another name, or allow it to be overwritten."
        )


class Targets:
    """Files made under temporary names, and renamed when all are complete.

    Use as a context manager: left by an exception it removes what was made, else it puts all in place.
    """

    def __init__(self) -> None:
        self._made: list[tuple[Path, Path]] = []
        self._gone: list[Path] = []

    def new(self, path: Path) -> Path:
        """The temporary name, in the same folder, of a file that shall stand at ``path``.

        Raises:
            OutputError: What stands at that name can't be removed.
        """
        partial = path.with_name(f".{path.stem}.partial{path.suffix}")
        self._made.append((partial, path))
        with told(path):
            for end in (".aux.xml", ".msk", ".ovr"):  # which GDAL would take for its own
                fresh(partial.with_name(partial.name + end))
            return fresh(partial)

    @property
    def made(self) -> dict[Path, Path]:
        """Where each file is now, by where it shall stand."""
        return {path: partial for partial, path in self._made}

    def drop(self, partial: Path) -> None:
        """Remove a temporary file that was only needed on the way."""
        partial.unlink(missing_ok=True)
        self._made = [one for one in self._made if one[0] != partial]

    def without(self, path: Path) -> None:
        """Remove a file that stands there, before the others are put in place."""
        self._gone.append(path)

    def __enter__(self) -> Targets:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                for path in self._gone:
                    with told(path):
                        path.unlink(missing_ok=True)
                for partial, path in reversed(self._made):  # where a raster stands, so do the files beside it
                    with told(path):
                        partial.replace(path)
        finally:
            for partial, _path in self._made:
                with contextlib.suppress(OSError):  # on Windows, of a file that is still being written
                    partial.unlink(missing_ok=True)
                    for overviews in partial.parent.glob(f"{partial.name}.*tmp"):  # GDAL's, on the way
                        overviews.unlink()


def check_blocks(path: Path) -> None:
    """Read a raster again: GDAL writes the last blocks when it closes the file, and tells no failure.

    Raises:
        OSError: A part of it isn't there.
    """
    try:
        with rasterio.open(path) as written:
            for (row, column), window in written.block_windows(1):
                for band in written.indexes:
                    if written.get_tag_item(f"BLOCK_SIZE_{column}_{row}", dm="TIFF", bidx=band) is None:
                        raise OSError(errno.EIO, "a part of it is missing")
                written.read(window=window)
    except (OSError, RasterioError) as error:
        raise OSError(errno.EIO, f"what was written can't be read again ({reason(error)})") from None


@contextlib.contextmanager
def told(path: Path) -> Iterator[None]:
    """Say of a failure that ``path`` cannot be written, and why.

    Raises:
        OutputError: ``disk_full`` or ``output_unwritable``.
    """
    try:
        yield
    except (OSError, RasterioError) as error:
        raise unwritten(f"'{path}'", path, error, reason(error)) from error

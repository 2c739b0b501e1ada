# SPDX-License-Identifier: GPL-3.0-or-later
"""A small file system of its own, to be full for real."""

import contextlib
import errno
import shutil
import subprocess

import pytest


@contextlib.contextmanager
def small_disk(place, megabytes):
    """A disk of so many megabytes, mounted in a folder that is made."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place)]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no program to mount a small file system")
    if done.returncode:
        pytest.skip("this user may not mount a small file system")
    try:
        yield place
    finally:
        # Lazily: a worker whose server was killed just now may not be gone yet.
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk, leave=0):
    """Another program takes all of a disk but so many bytes; its file's path, which makes room again."""
    path = disk / "another program's"
    with path.open("ab", buffering=0) as file:
        while (room := shutil.disk_usage(disk).free - leave) > 0:
            try:
                file.write(bytes(min(room, 1 << 20)))
            except OSError as error:  # somebody else wrote meanwhile
                if error.errno != errno.ENOSPC:
                    raise
    return path

# SPDX-License-Identifier: GPL-3.0-or-later
"""An output's size and hash are those that other programs find."""

import hashlib
import shutil
import subprocess

import pytest

from timo_backend.fingerprint import digest


def test_a_file_has_the_hash_of_its_bytes(tmp_path):
    (tmp_path / "map.tif").write_bytes(b"a map")
    assert digest(tmp_path / "map.tif") == (5, hashlib.sha256(b"a map").hexdigest())


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="this machine has no sha256sum")
def test_a_folder_has_the_hash_of_what_sha256sum_prints(tmp_path):
    bundle = tmp_path / "bundle"
    (bundle / "report").mkdir(parents=True)
    names = ["card.json", "report/index.html", "weights.safetensors"]
    for name in names:
        (bundle / name).write_text(name)
    printed = subprocess.run(["sha256sum", *names], cwd=bundle, capture_output=True, check=True).stdout
    assert digest(bundle) == (sum(map(len, names)), hashlib.sha256(printed).hexdigest())
    (bundle / "card.json").write_text("another")
    assert digest(bundle)[1] != hashlib.sha256(printed).hexdigest()

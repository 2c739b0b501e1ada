# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells that torch can use the GPUs of the first argument, once no file ``wait`` stands in the home."""

import os
import sys
import time
from pathlib import Path

import msgspec

from timo_backend.trial import Trial, Tried

while Path("wait").exists():
    time.sleep(0.02)
visible = os.environ.get("CUDA_VISIBLE_DEVICES")
ids = [ident for ident in sys.argv[1].split(",") if visible is None or ident in visible]
gpus = tuple(Tried(ident, True, "8.9") for ident in ids)
print("a library that prints")
print(msgspec.json.encode(Trial("2.14.1", "13.0", ("sm_80", "sm_90"), gpus)).decode())

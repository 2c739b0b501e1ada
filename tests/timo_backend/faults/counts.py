# SPDX-License-Identifier: GPL-3.0-or-later
"""How often each fault is tried: a few times in ``make test``, more in ``test-all`` and ``soak``."""

import os

RUN = os.environ.get("TIMO_FAULTS", "short")
"""``short``, ``all`` or ``soak``."""


def count(*, short, all):
    """The number for this run; ``make soak`` takes ten times as many as ``make test-all``."""
    return {"short": short, "all": all, "soak": 10 * all}[RUN]

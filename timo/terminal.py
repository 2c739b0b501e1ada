# SPDX-License-Identifier: GPL-3.0-or-later
"""What commands share: the consoles that they print on, and ``--json``."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

# What analysts name (classes, files) may hold brackets and colons: it is shown as it is.
out = Console(markup=False, emoji=False, highlight=False)
err = Console(stderr=True, markup=False, emoji=False)

AsJson = Annotated[
    bool, typer.Option("--json", help="Print a summary as JSON on stdout, and nothing else there.")
]

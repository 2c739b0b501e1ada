# SPDX-License-Identifier: GPL-3.0-or-later
"""Run all benchmarks, one after the other, each in a process of its own; ends with 1 if one fails to run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCHMARKS = ("models", "crops", "loader", "prediction", "backend", "responsiveness")


def main() -> int:
    """Run those named on the command line, or all."""
    root = Path(__file__).parents[1]
    failed = [
        name
        for name in sys.argv[1:] or BENCHMARKS
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], cwd=root, check=False).returncode
    ]
    if failed:
        print(f"Did not run to their end: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

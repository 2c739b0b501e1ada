# SPDX-License-Identifier: GPL-3.0-or-later
"""The local backend: a queue of jobs, each run in a worker process, behind one encrypted socket."""

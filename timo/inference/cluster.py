# SPDX-License-Identifier: GPL-3.0-or-later
"""Blocks on a Ray cluster: one model for each GPU, or for each node's cores; results on shared storage.

Ray's processes listen on the network. Token authentication is on (``RAY_AUTH_MODE=token``; the token is in
``~/.ray/auth_token`` or ``RAY_AUTH_TOKEN``), the dashboard off. The head listens on port 6379; the other
ports are Ray's choice (for a firewall, ``ray start --node-manager-port --object-manager-port
--min-worker-port --max-worker-port`` fix them).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch

from timo.errors import ModelError, TimoError
from timo.inference.assignments import Assignments
from timo.inference.chips import Rectangle
from timo.inference.plans import Done
from timo.series.words import counted

_LOOK = 0.5  # seconds between two looks at whether to stop
_PATIENCE = 60  # seconds: loading torch and a model takes less

Predict = Callable[[Rectangle, "Rectangle | None"], Done]
"""Predicts a block and writes its files; it is told the next block, too."""
Work = Callable[[], Predict]
"""Made anew on each node: gets ready."""


class Cluster:
    """A connection to Ray.

    Args:
        address: ``HOST:PORT`` of a cluster's head, or ``local`` for one of this machine alone.

    Raises:
        ModelError: Ray is not installed, or no cluster answers there.
    """

    def __init__(self, address: str) -> None:
        os.environ.setdefault("RAY_AUTH_MODE", "token")  # before Ray is imported
        try:
            import ray
        except ImportError as error:
            raise ModelError(
                "ray_missing", "Ray is not installed.", "Install it: pip install 'timo-qgis[ray]'."
            ) from error
        self.ray = ray
        options: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
        try:
            if address == "local":
                ray.init(include_dashboard=False, _node_ip_address="127.0.0.1", **options)
            else:
                ray.init(address=address, **options)
        except Exception as error:  # Ray has no one type for it
            raise ModelError(
                "ray_unreachable",
                f"No Ray cluster answers at '{address}': {' '.join(str(error).split())[:200]}",
                "Start one with 'RAY_AUTH_MODE=token ray start --head', or correct the address.",
                retryable=True,
            ) from error

    def __enter__(self) -> Cluster:
        self._stack = contextlib.ExitStack()
        # A thread of Ray's prints what befalls its nodes, where a program expects our summary alone.
        nowhere = self._stack.enter_context(Path(os.devnull).open("w"))
        self._stack.enter_context(contextlib.redirect_stdout(nowhere))
        self._stack.callback(self.ray.shutdown)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def workers(self, work: Work) -> list[Any]:
        """One for each GPU; without any, one for each node, with all its cores."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        remote = self.ray.remote(Worker)
        found = []
        for node in self.ray.nodes():  # type: ignore[no-untyped-call]
            if not node["Alive"]:
                continue
            gpus, cores = int(node["Resources"].get("GPU", 0)), int(node["Resources"].get("CPU", 0))
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            shares = [{"num_gpus": 1, "num_cpus": cores // gpus}] * gpus if gpus else [{"num_cpus": cores}]
            for share in shares:
                if share.get("num_gpus") or share["num_cpus"]:
                    made = remote.options(scheduling_strategy=there, max_restarts=0, **share)
                    found.append(made.remote(work, max(share["num_cpus"], 1)))
        return found

    def run(
        self,
        blocks: Iterable[Rectangle],
        work: Work,
        done: Callable[[Rectangle, Done], None],
        check: Callable[[], None],
        tell: Callable[[str], None],
    ) -> None:
        """Have blocks predicted; those of a node that is lost are done by others.

        Args:
            blocks: Which.
            work: What each node does.
            done: Called with each block that is written.
            check: Called often; may raise to stop.
            tell: Called with a sentence for the analyst.

        Raises:
            TimoError: A block can't be predicted, or no node is left.
        """
        from ray.exceptions import RayActorError, RayError

        workers = self.workers(work)
        tell(f"{counted(len(workers), 'worker', 'workers')} on the Ray cluster.")
        shares = Assignments(blocks)
        # A worker gets blocks once it is ready: a node that is busy with other things holds none back.
        running = {worker.ready.remote(): number for number, worker in enumerate(workers)}
        starting, begun = set(running.values()), time.monotonic()
        idle: list[int] = []
        while not shares.finished:
            for number in [*idle]:
                if (taken := shares.take(number)) is not None:
                    idle.remove(number)
                    running[workers[number].predict.remote(*taken)] = number
            if not running:
                raise ModelError(
                    "ray_lost",
                    "No node of the Ray cluster is left.",
                    "Start nodes, and run the same command: it goes on where it was.",
                    retryable=True,
                )
            ready, _ = self.ray.wait(list(running), timeout=_LOOK)
            check()
            for reference in ready:
                number = running.pop(reference)
                try:
                    found = self.ray.get(reference)
                except RayActorError as error:
                    shares.lost(number)
                    starting.discard(number)
                    why = " ".join(str(error).split())[:200]
                    tell(f"A worker of the Ray cluster was lost; others do its block. Ray says: {why}")
                    continue
                except RayError as error:
                    raise ModelError(
                        "ray_failed", f"A worker of the Ray cluster failed: {error}", "Look at Ray's logs."
                    ) from error
                if isinstance(found, dict):
                    raise TimoError(**found)
                if number in starting:
                    starting.remove(number)
                else:
                    done(shares.done(number), found)
                idle.append(number)
            if len(starting) == len(workers) and time.monotonic() > begun + _PATIENCE:
                tell("The nodes of the Ray cluster are busy, or slow to start: waiting for the first.")
                begun = float("inf")


class Worker:
    """An actor: holds a model, and predicts block after block.

    Args:
        work: What it does.
        threads: Cores that it may use.
    """

    def __init__(self, work: Work, threads: int) -> None:
        torch.set_num_threads(threads)
        self._work = work

    def ready(self) -> dict[str, Any] | None:
        """Open series and model. What went wrong: errors of ours don't travel as exceptions."""
        try:
            self._predict = self._work()
        except TimoError as error:
            return error.to_dict()
        return None

    def predict(self, block: Rectangle, upcoming: Rectangle | None) -> Done | dict[str, Any]:
        """The block's line of the journal, or what went wrong."""
        try:
            return self._predict(block, upcoming)
        except TimoError as error:
            return error.to_dict()

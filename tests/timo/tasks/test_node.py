# SPDX-License-Identifier: GPL-3.0-or-later
"""What a process of a cluster does with the blocks that it is given, in this process."""

import pytest

from tests.timo.tasks.blocks import Full, same
from timo.errors import ModelError
from timo.inference.partial import Partial, partial_folder
from timo.inference.running import finish
from timo.series.prepared import PreparedSeries
from timo.tasks import predict as task
from timo.tasks.reporter import Reporter
from timo.tasks.specs import load


@pytest.fixture
def job(large, bundle, small_blocks, tmp_path):
    spec = {"series": str(large), "model": str(bundle), "out": str(tmp_path / "map.tif")}
    return task._prepare(load("predict", spec), Reporter())


@pytest.fixture
def partial(job, tmp_path):
    with Partial.begun(partial_folder(tmp_path / "map.tif"), job.plan, overwrite=False) as partial:
        yield partial


def test_it_makes_the_map_of_one_process_with_smaller_batches_where_memory_is_short(
    job, partial, whole, tmp_path, monkeypatch
):
    Full(2).patch(monkeypatch)
    node, todo = job.work(str(partial.folder)), partial.todo()
    for block, upcoming in zip(todo, [*todo[1:], None], strict=True):
        partial.enter({block: node(block, upcoming)})
    finish(partial, Reporter(), overwrite=False)
    assert same(tmp_path / "map.tif", whole.map)


def test_it_reads_each_block_once_also_if_another_comes_than_it_was_told(job, partial, monkeypatch):
    reads = []
    real = PreparedSeries.read
    monkeypatch.setattr(PreparedSeries, "read", lambda *a: reads.append(a[1:3]) or real(*a))
    node, (first, second, third, *_) = job.work(str(partial.folder)), partial.todo()
    node(first, second)
    node(second, third)
    assert len(set(reads)) == len(reads) <= 3
    assert node(first, None).block == (first.row, first.column, first.height, first.width)


def test_it_says_so_where_memory_does_not_suffice_for_one_chip(job, partial, monkeypatch):
    Full(0).patch(monkeypatch)
    with pytest.raises(ModelError, match="too little for one chip at a time") as caught:
        job.work(str(partial.folder))(partial.todo()[0], None)
    assert caught.value.code == "out_of_memory"

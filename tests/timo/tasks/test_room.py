# SPDX-License-Identifier: GPL-3.0-or-later
"""A job that can't fit is told so before it reads anything, and one that can is never refused."""

import gc
import json
import shutil

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.optim.optimizer import register_optimizer_step_post_hook

from timo import bundle as bundles
from timo import disk, tasks
from timo.errors import ModelError, OutputError, SeriesError
from timo.inference.ready import ready_model
from timo.models.device import Compute
from timo.tasks import room
from timo.tasks.specs import load

NOWHERE = {"series": "/no/such/series", "labels": "/no/labels.gpkg", "class_field": "kind"}


@pytest.fixture
def memory(monkeypatch):
    """Makes the devices have so many bytes."""
    return lambda size: monkeypatch.setattr(room, "total", lambda _: size)


def finetune(out, **more):
    return tasks.run("finetune", load("finetune", {**NOWHERE, "out": str(out), **more}))


def pretrain(out, **more):
    return tasks.run("pretrain", load("pretrain", {"series": ["/no/such/series"], "out": str(out), **more}))


def needed(task, out, memory, **more):
    """Bytes that a task is said to take at least."""
    memory(0)
    with pytest.raises(ModelError) as caught:
        task(out, **more)
    assert caught.value.code == "does_not_fit"
    return caught.value.detail["needed"]


def live_bytes():
    """Of all tensors that there are."""
    gc.collect()
    storages = {}
    for one in gc.get_objects():
        # Other kinds, which an export has left, only stand for tensors.
        if type(one) in (torch.Tensor, torch.nn.Parameter) and one.device.type == "cpu":
            storages[one.untyped_storage().data_ptr()] = one.untyped_storage().nbytes()
    return sum(storages.values())


@pytest.fixture
def most():
    """The most bytes of tensors that there were after a step, with the gradients, beyond those of before."""
    before, seen = live_bytes(), [0]
    hook = register_optimizer_step_post_hook(lambda *_: seen.append(live_bytes() - before))
    yield lambda: max(seen)
    hook.remove()


@pytest.mark.parametrize("model", ["timo_tiny", pytest.param("timo_small", marks=pytest.mark.slow)])
@pytest.mark.parametrize("classify", ["pixels", pytest.param("chips", marks=pytest.mark.slow)])
def test_a_training_takes_what_it_is_said_to_and_little_more(scene, tmp_path, memory, most, model, classify):
    settings = {"model": model, "classify": classify}
    least = needed(finetune, tmp_path / "m", memory, **settings)
    memory(least)
    scene.finetune(tmp_path / "m", epochs=1, chip=32, batch=2, all_labels=False, **settings)
    assert least <= most() < 1.5 * least


@pytest.mark.parametrize("learn", [pytest.param("head", marks=pytest.mark.slow), "lora"])
def test_where_a_part_of_it_learns_a_training_takes_less(scene, bundle, tmp_path, memory, most, learn):
    settings = {"from": str(bundle), "learn": learn}
    least = needed(finetune, tmp_path / "m", memory, **settings)
    assert least < needed(finetune, tmp_path / "m", memory)
    memory(least)
    scene.finetune(tmp_path / "m", epochs=1, chip=32, batch=2, **settings)
    assert least <= most() < 2 * least


@pytest.mark.slow
def test_a_pre_training_takes_what_it_is_said_to(scene, tmp_path, memory, most):
    least = needed(pretrain, tmp_path / "m", memory)
    memory(least)
    pretrain(tmp_path / "m", series=[str(scene.folder)], epochs=1, zoom=1, chip=32, batch=2)
    assert least <= most() < 1.5 * least


@pytest.mark.parametrize("task", [finetune, pytest.param(pretrain, marks=pytest.mark.slow)])
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_training_is_refused_where_there_is_less_than_that_and_only_there(task, tmp_path, memory, data):
    least = needed(task, tmp_path / "m", memory)
    there = data.draw(st.integers(0, 2 * least) | st.sampled_from([least - 1, least]))
    memory(there)
    with pytest.raises((ModelError, SeriesError)) as caught:  # there is no such series: it comes to read it
        task(tmp_path / "m")
    assert (caught.value.code == "does_not_fit") == (there < least)
    assert list(tmp_path.iterdir()) == []


def test_the_refusal_says_how_much_there_is_and_what_to_do(tmp_path, memory):
    memory(1 << 30)
    with pytest.raises(ModelError) as caught:
        finetune(tmp_path / "m", model="timo_base")
    assert caught.value.message == (
        "Training timo_base takes at least 1.9 GB of memory, and this machine has 1.0 GB in all."
    )
    assert "smaller model" in caught.value.action
    assert caught.value.detail["there"] == 1 << 30 < caught.value.detail["needed"]
    json.dumps(caught.value.to_dict())


def test_the_refusal_names_the_gpu(tmp_path, memory, monkeypatch):
    memory(1 << 30)
    monkeypatch.setattr(room, "compute_on", lambda *_: Compute(torch.device("cuda", 0), "bfloat16"))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "GeForce MX150")
    with pytest.raises(ModelError, match=r"and the GPU 'GeForce MX150' has 1\.0 GB in all"):
        finetune(tmp_path / "m", model="timo_base")


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("task", ["predict", "embed"])
def test_a_map_is_refused_where_the_model_alone_is_too_large(scene, bundle, tmp_path, memory, task, dry_run):
    spec = {"series": str(scene.folder), "model": str(bundle), "out": str(tmp_path / "map.tif")}
    card = bundles.load_card(bundle)
    model = ready_model(bundle, card, torch.device("cpu"))
    used = model.encoder if task == "embed" else model
    weights = sum(one.nbytes for one in used.parameters())
    chip = 4 * len(card.bands) * 4 * card.chip**2  # four dates
    memory(1000)
    with pytest.raises(ModelError, match="'woods' with one chip of the series takes at least") as caught:
        tasks.run(task, load(task, {**spec, "dry_run": dry_run}))
    least = caught.value.detail["needed"]
    assert caught.value.code == "does_not_fit"
    assert 0.95 * weights < least - chip <= weights
    assert list(tmp_path.iterdir()) == []
    memory(least)
    tasks.run(task, load(task, {**spec, "dry_run": dry_run}))


@pytest.fixture
def room_on_disk(monkeypatch):
    """Makes the disks have so many free bytes, or not tell."""

    def have(total, free):
        usage = type(shutil.disk_usage("/"))(total, total - free, free)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)

    return have


def test_a_bundle_that_its_disk_has_no_room_for_is_refused(scene, tmp_path, room_on_disk):
    room_on_disk(1 << 40, 1000)
    with pytest.raises(OutputError, match=r"least 4\.\d MB, and its disk has 0\.0 MB free") as caught:
        finetune(tmp_path / "m")
    assert caught.value.code == "does_not_fit"
    assert caught.value.retryable
    least = caught.value.detail["needed"]
    room_on_disk(1 << 40, least)
    scene.finetune(tmp_path / "m", epochs=1)
    weights = (tmp_path / "m" / "weights.safetensors").stat().st_size
    assert 0.75 * weights < least <= weights  # what is seen of single pixels depends on the series


def test_what_a_killed_training_left_of_its_bundle_makes_room_for_it(tmp_path, room_on_disk):
    (tmp_path / "m.partial").mkdir()
    (tmp_path / "m.partial" / "weights.safetensors").write_bytes(bytes(6_000_000))
    room_on_disk(1 << 40, 1000)
    with pytest.raises(SeriesError):
        finetune(tmp_path / "m")


def test_a_drive_that_does_not_tell_its_room_refuses_nothing(tmp_path, room_on_disk, monkeypatch):
    room_on_disk(0, 0)
    with pytest.raises(SeriesError):
        finetune(tmp_path / "m")

    def refused(_):
        raise OSError("not supported")

    monkeypatch.setattr(shutil, "disk_usage", refused)
    assert disk.free(tmp_path) is None
    with pytest.raises(SeriesError):
        finetune(tmp_path / "m")

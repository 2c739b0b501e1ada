# SPDX-License-Identifier: GPL-3.0-or-later
"""SyncBatchNorm: two processes with half a batch each learn what one with the whole batch learns.

Run as a program (RANK FOLDER) this is one of the two processes, on the CPU.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn

from timo.models import TiMoClassifier, TiMoEncoder, TiMoMAE, TiMoSegmenter
from timo.models.norm import batch_norm

PROCESSES = 2
SMALL = {
    "in_chans": 3,
    "embed_dims": (8, 16, 16, 24),
    "num_heads": (2, 2, 2, 2),
    "depths": (1, 2, 1, 1),
}


class OneNorm(nn.Module):
    """A BatchNorm of frames, in which absent dates take no part."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.bn = nn.BatchNorm2d(4)

    def forward(self, series, valid=None):
        """(B, T, 3, H, W) -> (B, T, 4, H, W)."""
        kept = None if valid is None else valid.flatten(2).any(2).flatten()[:, None, None, None]
        frames = series.flatten(0, 1)
        if kept is not None:
            frames = frames.where(kept, 0)
        return batch_norm(self.bn, self.conv(frames), kept).unflatten(0, series.shape[:2])


class Predicted(TiMoMAE):
    """An autoencoder that hides the same units of every sample; its loss would be single precision."""

    def forward(self, series, valid=None):
        """(B, T, 3, 32, 64) -> (B, N, 3 * 32 * 32)."""
        noise = torch.rand(1, 2 * series.shape[1], generator=torch.Generator().manual_seed(3))
        return super().forward(series, noise.expand(len(series), -1), valid).prediction


def checkpointed():
    encoder = TiMoEncoder(**SMALL)
    encoder.set_grad_checkpointing()
    return encoder


MODELS = {
    "one norm": OneNorm,
    "encoder": lambda: TiMoEncoder(**SMALL),
    "checkpointed encoder": checkpointed,
    "segmenter": lambda: TiMoSegmenter(num_classes=3, head_channels=8, **SMALL),
    "classifier": lambda: TiMoClassifier(num_classes=3, **SMALL),
    "autoencoder": lambda: Predicted(decoder_dim=8, decoder_depth=1, decoder_heads=2, **SMALL),
}
CASES = [(name, padded) for name in MODELS for padded in (False, True)]


def build(name):
    """A model in double precision, always the same one: what is left of differences is no rounding."""
    torch.manual_seed(1)
    return MODELS[name]().double().train()


def batch(padded):
    """4 series of up to 3 dates. Those of the second process are the shorter ones, and one has a gap."""
    generator = torch.Generator().manual_seed(2)
    series = torch.randn(4, 3, 3, 32, 64, generator=generator).double()
    if not padded:
        return series, None
    valid = torch.ones(4, 3, 32, 64, dtype=torch.bool)
    valid[2, 1:] = valid[3, 1] = False
    return series.where(valid[:, :, None], torch.nan), valid


def learn(model, series, valid):
    """Two forwards and backwards, as in gradient accumulation; the loss is a mean over samples."""
    for _ in range(2):
        out = model(series, valid)
        parts = out if isinstance(out, list) else [out]
        loss = sum((weighted(part) * shown(part, valid)).square().flatten(1).sum(1).mean() for part in parts)
        loss.backward()


def weighted(part):
    """Values of each channel, pixel and so on count differently: a mean of normed values has no gradient."""
    return part * torch.linspace(0, 1, part[0].numel(), dtype=part.dtype).view(part[0].shape)


def shown(part, valid):
    """1 for dates that count, where a result is one of dates."""
    if valid is None or part.dim() < 5:
        return 1.0
    return valid.flatten(2).any(2).to(part.dtype)[:, :, None, None, None]


def outcome(model):
    """Gradients and running statistics by name."""
    return {
        "gradients": {name: parameter.grad for name, parameter in model.named_parameters()},
        "statistics": dict(model.named_buffers()),
    }


def work(rank, folder):
    """One process: its half of each case's batch, and the mean of both gradients.

    DistributedDataParallel, which would take that mean, refuses SyncBatchNorm on a CPU.
    """
    store = dist.FileStore(str(folder / "store"), PROCESSES)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=PROCESSES)
    results = {}
    for name, padded in CASES:
        model = nn.SyncBatchNorm.convert_sync_batchnorm(build(name))
        series, valid = batch(padded)
        half = slice(2 * rank, 2 * rank + 2)
        learn(model, series[half], None if valid is None else valid[half])
        for parameter in model.parameters():
            dist.all_reduce(parameter.grad)
            parameter.grad /= PROCESSES
        results[f"{name} {padded}"] = outcome(model)
    torch.save(results, folder / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    """What each of two processes ends with."""
    folder = tmp_path_factory.mktemp("sync")
    running = [
        subprocess.Popen(
            [sys.executable, __file__, str(rank), str(folder)],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(PROCESSES)
    ]
    try:
        errors = [process.communicate(timeout=300)[1] for process in running]
    finally:
        for process in running:
            process.kill()
    assert [process.returncode for process in running] == [0] * PROCESSES, "\n".join(errors)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(PROCESSES)]


def assert_same(ours, expected):
    assert set(ours) == set(expected)
    for name, tensor in expected.items():
        difference = (ours[name] - tensor).double().norm()
        # A bias before a norm has no gradient but for rounding; others' are in the thousands.
        assert difference <= 1e-8 * tensor.double().norm() + 1e-8, name


@pytest.mark.parametrize(("name", "padded"), CASES)
def test_two_processes_learn_what_one_does(two_processes, name, padded):
    model = build(name)
    learn(model, *batch(padded))
    alone = outcome(model)
    for ours in two_processes:
        assert_same(ours[f"{name} {padded}"]["statistics"], alone["statistics"])
        assert_same(ours[f"{name} {padded}"]["gradients"], alone["gradients"])


@pytest.mark.parametrize("name", MODELS)
def test_absent_dates_would_be_missed(two_processes, name):
    """The padded batch and the whole one differ, so that the comparison above says something."""
    padded, whole = (two_processes[0][f"{name} {padded}"] for padded in (True, False))
    differing = [
        key
        for key, tensor in whole["statistics"].items()
        if tensor.is_floating_point() and not torch.allclose(tensor, padded["statistics"][key])
    ]
    assert differing


@pytest.mark.parametrize("name", MODELS)
def test_without_other_processes_a_synced_model_gives_what_a_plain_one_gives(name):
    """As after a training on several GPUs, or in a test of it on one."""
    plain, synced = build(name), nn.SyncBatchNorm.convert_sync_batchnorm(build(name))
    for model in (plain, synced):
        learn(model, *batch(padded=True))
    for part, expected in outcome(plain).items():
        assert_same(outcome(synced)[part], expected)
    series, valid = batch(padded=True)
    with torch.no_grad():
        results = [model.eval()(series, valid) for model in (synced, plain)]
    for ours, expected in zip(*(out if isinstance(out, list) else [out] for out in results)):
        kept = shown(expected, valid)
        torch.testing.assert_close(ours * kept, expected * kept)


if __name__ == "__main__":
    torch.set_num_threads(1)
    work(int(sys.argv[1]), Path(sys.argv[2]))

# SPDX-License-Identifier: GPL-3.0-or-later
"""torch.compile takes the models whole; torch.export gives a program for any batch, dates and size."""

import pytest
import timm
import torch
from torch.export import Dim, export

from timo.models import TiMoClassifier, TiMoEncoder, TiMoMAE, TiMoSegmenter
from timo.models.fold import fold_batch_norm
from timo.models.registry import VARIANTS
from timo.models.zoom import Zoomed

MODELS = {
    "encoder": lambda options: TiMoEncoder(**options),
    "encoder by date": lambda options: TiMoEncoder(**options, position="date"),
    "classifier": lambda options: TiMoClassifier(**options),
    "segmenter": lambda options: TiMoSegmenter(head_channels=8, **options),
    "segmenter per date": lambda options: TiMoSegmenter(head_channels=8, per_date=True, **options),
    # What `timo predict` runs.
    "folded and zoomed": lambda options: fold_batch_norm(
        Zoomed(TiMoSegmenter(head_channels=8, **options), 2)
    ),
}
WHOLE = ("timo_tiny", "timo_small")  # the others have depths of 1 here
SERIES_ALONE = ("folded and zoomed",)


def batch(samples=2, dates=3, size=(64, 96)):
    """Series, validity with an absent date, and dates."""
    valid = torch.rand(samples, dates, *size) < 0.5
    valid[0, 1] = False
    return (
        torch.randn(samples, dates, 4, *size),
        valid,
        torch.randint(10000, 20000, (samples, dates)),
    )


def given_to(name, inputs):
    return inputs[:1] if name in SERIES_ALONE else inputs


def parts(result):
    """All stages, or the one result."""
    return [result] if isinstance(result, torch.Tensor) else list(result)


def assert_same(result, other, atol=1e-5, rtol=1e-5):
    assert len(parts(result)) == len(parts(other))
    for ours, expected in zip(parts(result), parts(other)):
        scale = max(1.0, expected.abs().max().item())  # untrained, logits may be large
        torch.testing.assert_close(ours, expected, atol=atol * scale, rtol=rtol)


def loss(result):
    return sum(part.square().mean() for part in parts(result))


@pytest.fixture
def shallow(small):
    """Every kind of part, once: tracing takes seconds a block."""
    return {**small, "depths": (1, 1, 1, 1)}


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize(
    ("name", "training"),
    [
        *((name, False) for name in MODELS),
        ("encoder", True),
        ("classifier", True),
        pytest.param("segmenter", True, marks=pytest.mark.slow),
    ],
)
def test_model_compiles_without_a_graph_break(shallow, name, training):
    model, other = (MODELS[name](shallow).train(training) for _ in range(2))
    other.load_state_dict(model.state_dict())
    compiled = torch.compile(other, fullgraph=True, backend="eager")
    inputs = given_to(name, batch())
    with torch.set_grad_enabled(training):
        ours, expected = compiled(*inputs), model(*inputs)
    assert_same(ours, expected)
    if training:
        for result in (ours, expected):
            loss(result).backward()
        for (parameter_name, left), right in zip(model.named_parameters(), other.parameters()):
            if left.grad is not None:
                torch.testing.assert_close(right.grad, left.grad, atol=1e-5, rtol=1e-3, msg=parameter_name)
        for left, right in zip(model.buffers(), other.buffers()):
            torch.testing.assert_close(right, left, atol=1e-6, rtol=1e-5)


def test_autoencoder_compiles_without_a_graph_break(shallow):
    model = TiMoMAE(**shallow).eval()
    series, noise = torch.randn(1, 2, 4, 64, 64), torch.rand(1, 8)
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(series, noise).loss, model(series, noise).loss)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_is_compiled_and_exported_whole(name):
    options = {} if name in WHOLE else {"depths": (1, 1, 1, 1)}
    model = timm.create_model(name, in_chans=3, **options).eval()
    series = torch.randn(1, 2, 3, 64, 64)
    with torch.no_grad():
        expected = model(series)
        assert_same(torch.compile(model, fullgraph=True, backend="eager")(series), expected)
        assert_same(export(model, (series,)).module()(series), expected)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        pytest.param("encoder", 3, marks=pytest.mark.slow),
        pytest.param("encoder by date", 3, marks=pytest.mark.slow),
        pytest.param("classifier", 1, marks=pytest.mark.slow),
        pytest.param("segmenter", 3, marks=pytest.mark.slow),
        pytest.param("segmenter per date", 1, marks=pytest.mark.slow),
        pytest.param("folded and zoomed", 1, marks=pytest.mark.slow),
    ],
)
def test_exported_model_takes_any_batch_dates_and_size(shallow, name, given):
    model = MODELS[name](shallow).eval()
    B, T, h, w = Dim("B", max=64), Dim("T", min=2, max=60), Dim("h", min=2, max=64), Dim("w", min=2, max=64)
    shapes = ({0: B, 1: T, 3: 32 * h, 4: 32 * w}, {0: B, 1: T, 2: 32 * h, 3: 32 * w}, {0: B, 1: T})
    program = export(model, batch()[:given], dynamic_shapes=shapes[:given]).module()
    for samples, dates, size in ((1, 2, (64, 128)), (3, 7, (96, 64))):
        inputs = batch(samples, dates, size)[:given]
        with torch.no_grad():
            assert_same(program(*inputs), model(*inputs))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["encoder by date", "segmenter"])
def test_a_single_date_is_an_export_of_its_own(shallow, name):
    model = MODELS[name](shallow).eval()
    series, dates = torch.randn(2, 1, 4, 64, 96), torch.full((2, 1), 18000)
    B, h, w = Dim("B", max=64), Dim("h", min=2, max=64), Dim("w", min=2, max=64)
    program = export(
        model, (series, None, dates), dynamic_shapes=({0: B, 3: 32 * h, 4: 32 * w}, None, {0: B})
    )
    series, dates = torch.randn(3, 1, 4, 64, 96), torch.full((3, 1), 18000)
    with torch.no_grad():
        assert_same(program.module()(series, None, dates), model(series, None, dates))


@pytest.mark.slow
def test_a_side_of_32_is_an_export_of_its_own(shallow):
    model = MODELS["encoder by date"](shallow).eval()
    B, T, w = Dim("B", max=64), Dim("T", min=2, max=60), Dim("w", min=2, max=64)
    shapes = ({0: B, 1: T, 4: 32 * w}, {0: B, 1: T, 3: 32 * w}, {0: B, 1: T})
    program = export(model, batch(size=(32, 96)), dynamic_shapes=shapes).module()
    inputs = batch(3, 7, (32, 64))
    with torch.no_grad():
        assert_same(program(*inputs), model(*inputs))


@pytest.mark.slow
@pytest.mark.parametrize("training", [False, True])
def test_the_machine_code_of_a_compiled_encoder_computes_the_same(shallow, training):
    model, other = (TiMoEncoder(**shallow).train(training) for _ in range(2))
    other.load_state_dict(model.state_dict())
    inputs = batch()
    with torch.set_grad_enabled(training):
        ours, expected = torch.compile(other, fullgraph=True)(*inputs), model(*inputs)
    assert_same(ours, expected, atol=1e-4, rtol=1e-4)
    if training:
        for result in (ours, expected):
            loss(result).backward()
        for (name, left), right in zip(model.named_parameters(), other.parameters()):
            if left.grad is not None:
                assert (right.grad - left.grad).norm() <= 1e-3 * left.grad.norm() + 1e-6, name

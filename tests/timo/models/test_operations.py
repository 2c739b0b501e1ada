# SPDX-License-Identifier: GPL-3.0-or-later
"""Operations are counted as the models do them: held to torch's own counter, in percent."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tests.timo.models.literal_upernet import LiteralUPerNet
from tests.timo.models.published import SMALL
from timo.models import TiMoEncoder, TiMoSegmenter
from timo.models.operations import Input, encoder_operations, head_operations
from timo.models.registry import VARIANTS

ENCODER = {name: value for name, value in SMALL.items() if name != "in_chans"}


def counted(model, size):
    """What torch counts in one forward; fused attention on a CPU it doesn't see, so that is switched off."""
    series = torch.zeros(size.batch, size.dates, size.bands, size.height, size.width)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        model.eval()(series)
    return counter.get_total_flops()


@given(
    size=st.builds(
        Input,
        bands=st.integers(1, 12),
        dates=st.integers(2, 7),
        height=st.sampled_from([32, 64]),
        width=st.sampled_from([32, 96]),
        batch=st.integers(1, 2),
    )
)
@settings(max_examples=8, deadline=None)
def test_the_encoder_takes_as_many_operations_as_are_counted_for_it(size):
    with torch.device("cpu"):
        model = TiMoEncoder(in_chans=size.bands, **ENCODER)
    assert encoder_operations(size, **ENCODER) == pytest.approx(counted(model, size), rel=0.01)


@pytest.mark.parametrize("attention", [("gyroscope",) * 4, ("full",) * 4])
def test_each_kind_of_attention_is_counted(attention):
    size = Input(bands=3, dates=5, height=64, width=64)
    options = {**ENCODER, "attention": attention}
    model = TiMoEncoder(in_chans=3, **options)
    assert encoder_operations(size, **options) == pytest.approx(counted(model, size), rel=0.01)


def test_a_head_as_the_paper_writes_it_takes_as_many_operations_as_are_counted_for_it():
    size = Input(bands=4, dates=3, height=64, width=96, batch=2)
    model = TiMoSegmenter(num_classes=7, head_channels=24, in_chans=4, **ENCODER)
    head = LiteralUPerNet(model.encoder.embed_dims, 24)
    total = head_operations(size, model.encoder.embed_dims, 24, 7, as_written=True)
    stages = [
        torch.zeros(6, dim, 16 >> i, 24 >> i) for i, dim in enumerate(model.encoder.embed_dims)
    ]  # fmt: skip
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        head.eval()(stages)
        model.classifier(torch.zeros(2, 24, 64, 96))
    assert total == pytest.approx(counter.get_total_flops(), rel=1e-6)


def test_the_base_head_of_the_paper_is_most_of_its_segmenter():
    """87 % of the operations, says the project's design; a third of the last convolution's are needed."""
    base = VARIANTS["timo_base"]
    size = Input(bands=10, dates=3, height=224, width=224)
    encoder = encoder_operations(size, **base)
    written, needed = (
        head_operations(size, base["embed_dims"], 1024, 6, as_written=as_written)
        for as_written in (True, False)
    )
    assert written / (written + encoder) == pytest.approx(0.87, abs=0.01)
    assert needed < 0.6 * written
    fewest = head_operations(size, base["embed_dims"], 1024, 6, winograd=True)
    assert fewest == pytest.approx(needed / 4, rel=0.05)  # nearly all are 3x3 convolutions


def test_operations_grow_with_the_batch_alone_as_the_batch_does():
    one, three = (encoder_operations(Input(3, 4, 64, 64, batch), **ENCODER) for batch in (1, 3))
    assert three == 3 * one

# SPDX-License-Identifier: GPL-3.0-or-later
"""The fast head is the literal one: results, gradients, statistics, absent dates, compiled and exported."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from tests.timo.models.literal_upernet import LiteralUPerNet
from tests.timo.models.literal_upernet import greatest as literal_greatest
from timo.models import greatest as in_parts
from timo.models import winograd
from timo.models.greatest import classify_greatest, greatest
from timo.models.upernet import UPerNet
from timo.models.winograd import conv3x3

DIMS = (8, 12, 20, 24)
sizes = st.fixed_dictionaries(
    {
        "frames": st.integers(1, 3),
        "height": st.sampled_from([8, 16, 24, 32]),  # of the finest stage; coarsest: 1 to 4
        "width": st.sampled_from([8, 16, 24, 56]),
        "channels": st.sampled_from([3, 8, 16]),  # from 8 on, Winograd's form of the convolutions
        "seed": st.integers(0, 2**31),
    }
)


@pytest.fixture(scope="module", autouse=True)
def winograds_form_for_narrow_heads_too():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd, "_CHANNELS", 8)
        yield


def twins(channels, dtype=torch.double):
    """Literal and fast head with the same weights, and norms that are not at their initial values."""
    oracle, ours = (build(DIMS, channels).to(dtype) for build in (LiteralUPerNet, UPerNet))
    for module in oracle.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean, std=0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
            torch.nn.init.normal_(module.bias, std=0.1)
    ours.load_state_dict(oracle.state_dict(), strict=True)
    return oracle, ours


def stages_of(frames, height, width, dtype=torch.double):
    return [torch.randn(frames, dim, height >> i, width >> i, dtype=dtype) for i, dim in enumerate(DIMS)]


@given(size=sizes)
def test_results_are_those_of_the_literal_head(size):
    torch.manual_seed(size["seed"])
    oracle, ours = twins(size["channels"])
    stages = stages_of(size["frames"], size["height"], size["width"])
    with torch.no_grad():
        torch.testing.assert_close(
            ours.eval()(stages), oracle.eval()(stages), atol=1e-9, rtol=1e-9, check_stride=False
        )


@given(size=sizes)
def test_gradients_and_running_statistics_are_those_of_the_literal_head(size):
    torch.manual_seed(size["seed"])
    oracle, ours = twins(size["channels"])
    stages = stages_of(max(2, size["frames"]), size["height"], size["width"])  # BatchNorm needs 2 values
    inputs = [[stage.clone().requires_grad_() for stage in stages] for _ in range(2)]
    results = [head.train()(each) for head, each in zip((oracle, ours), inputs)]
    weight = torch.randn_like(results[0])
    for result in results:
        (result * weight).sum().backward()
    torch.testing.assert_close(results[1], results[0], atol=1e-8, rtol=1e-8)
    for ours_stage, expected in zip(inputs[1], inputs[0]):
        torch.testing.assert_close(ours_stage.grad, expected.grad, atol=1e-7, rtol=1e-6)
    for (name, parameter), expected in zip(ours.named_parameters(), oracle.parameters()):
        torch.testing.assert_close(parameter.grad, expected.grad, atol=1e-7, rtol=1e-6, msg=name)
    for (name, statistic), expected in zip(ours.named_buffers(), oracle.buffers()):
        torch.testing.assert_close(statistic, expected, msg=name)


def test_in_float32_results_are_as_near_to_the_true_ones_as_torchs_own():
    oracle, ours = (head.eval() for head in twins(128, torch.float))
    stages = stages_of(2, 32, 24, torch.float)
    with torch.no_grad():
        plain, fast = oracle(stages), ours(stages)
        true = oracle.double()([stage.double() for stage in stages])
    error, of_plain = ((each - true).abs().max() / true.abs().max() for each in (fast, plain))
    assert error < max(2 * of_plain, 4e-6)


@given(
    frames=st.integers(1, 9),
    height=st.integers(1, 21),
    width=st.integers(1, 21),
    tiles=st.sampled_from([1, 7, 1000]),
    channels=st.tuples(st.integers(1, 5), st.integers(1, 5)),
)
def test_winograds_convolution_and_gradients_are_torchs(frames, height, width, tiles, channels):
    x = torch.randn(frames, height, width, channels[0], dtype=torch.double, requires_grad=True)
    weight = torch.randn(*channels[::-1], 3, 3, dtype=torch.double, requires_grad=True)
    expected = F.conv2d(x.permute(0, 3, 1, 2), weight, padding=1).permute(0, 2, 3, 1)
    gradient = torch.randn_like(expected)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd, "_pays", lambda x, weight: True)
        patch.setattr(winograd, "_TILES", tiles)
        ours = conv3x3(x, weight)
        found = torch.autograd.grad(ours, [x, weight], gradient)
    torch.testing.assert_close(ours, expected, atol=1e-10, rtol=1e-9)
    for each, wanted in zip(found, torch.autograd.grad(expected, [x, weight], gradient)):
        torch.testing.assert_close(each, wanted, atol=1e-9, rtol=1e-9)


def test_in_float32_winograds_gradients_are_exact_to_six_digits():
    x, weight = torch.randn(4, 16, 16, 96, requires_grad=True), torch.randn(64, 96, 3, 3, requires_grad=True)
    gradient = torch.randn(4, 16, 16, 64)
    assert winograd._pays(x, weight)
    found = torch.autograd.grad(conv3x3(x, weight), [x, weight], gradient)
    twice = [tensor.detach().double().requires_grad_() for tensor in (x, weight)]
    plain = F.conv2d(twice[0].permute(0, 3, 1, 2), twice[1], padding=1).permute(0, 2, 3, 1)
    for ours, true in zip(found, torch.autograd.grad(plain, twice, gradient.double())):
        assert (ours - true).norm() < 4e-6 * true.norm()


def test_absent_frames_are_in_no_statistics_of_the_head():
    whole, cut = UPerNet(DIMS, 16).double(), UPerNet(DIMS, 16).double()
    cut.load_state_dict(whole.state_dict())
    stages, present = stages_of(4, 16, 24), torch.tensor([True, False, True, True])
    for stage in stages:
        stage[1] *= 100
    results = [whole(stages, present)[present], cut([stage[present] for stage in stages])]
    weight = torch.randn_like(results[0])
    for result in results:
        (result * weight).sum().backward()
    torch.testing.assert_close(*results, atol=1e-8, rtol=1e-8)
    for (name, ours), expected in zip(whole.named_parameters(), cut.parameters()):
        torch.testing.assert_close(ours.grad, expected.grad, atol=1e-7, rtol=1e-6, msg=name)
    for (name, ours), expected in zip(whole.named_buffers(), cut.buffers()):
        torch.testing.assert_close(ours, expected, msg=name)


@given(
    shape=st.tuples(
        st.integers(1, 2), st.integers(1, 6), st.integers(1, 3), st.integers(1, 6), st.integers(1, 6)
    ),
    scale=st.sampled_from([1, 3, 4]),
    ties=st.booleans(),
)
def test_the_greatest_of_the_dates_and_its_gradient_are_torchs(shape, scale, ties):
    x = torch.randn(shape, dtype=torch.double)
    if ties:
        x = x.relu().round()
    x.requires_grad_()
    size = (shape[3] * scale, shape[4] * scale)
    expected, ours = literal_greatest(x, size), greatest(x, size)
    gradient = torch.randn_like(expected)
    torch.testing.assert_close(ours, expected, atol=1e-12, rtol=1e-12, check_stride=False)
    if ties and scale > 1:
        return  # what rounding leaves of a tie between means is chance
    wanted, found = (torch.autograd.grad(each, x, gradient)[0] for each in (expected, ours))
    torch.testing.assert_close(found, wanted, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("rows", [None, 1, 5, 1000])
def test_the_greatest_of_the_dates_is_classified_as_at_once(monkeypatch, rows):
    x, classifier = torch.randn(2, 5, 7, 8, 10), torch.nn.Conv2d(7, 3, 1)
    if rows:  # as a GPU does it
        monkeypatch.setattr(in_parts, "_in_rows", lambda _: False)
        monkeypatch.setattr(in_parts, "GPU_BLOCK_BYTES", rows * 2 * 5 * 7 * 40 * 4)
    with torch.no_grad():
        expected = classifier(literal_greatest(x, (32, 40)))
        torch.testing.assert_close(
            classify_greatest(x, (32, 40), classifier), expected, atol=1e-5, rtol=0, check_stride=False
        )


def test_autocast_keeps_the_head_within_bfloat16():
    head = UPerNet(DIMS, 64).eval()
    stages = stages_of(2, 16, 24, torch.float)
    with torch.no_grad():
        full = head(stages)
        with torch.autocast("cpu", torch.bfloat16):
            half = head(stages)
        pure = head.bfloat16()([stage.bfloat16() for stage in stages])
    for low in (half, pure):
        assert (low.float() - full).norm() < 3e-2 * full.norm()


@pytest.mark.slow
@pytest.mark.parametrize("training", [False, True])
def test_a_compiled_head_computes_the_same(training):
    head, other = UPerNet(DIMS, 8).train(training), UPerNet(DIMS, 8).train(training)
    other.load_state_dict(head.state_dict())
    stages, present = stages_of(3, 16, 24, torch.float), torch.tensor([True, True, False])
    compiled = torch.compile(other, fullgraph=True, backend="aot_eager")
    with torch.set_grad_enabled(training):
        ours, expected = compiled(stages, present)[present], head(stages, present)[present]
    torch.testing.assert_close(ours, expected, atol=1e-4, rtol=1e-4, check_stride=False)
    for left, right in zip(other.buffers(), head.buffers()):
        torch.testing.assert_close(left, right, atol=1e-5, rtol=1e-5)

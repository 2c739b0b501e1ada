# SPDX-License-Identifier: GPL-3.0-or-later
"""The attention that is computed is the literal one: outputs, gradients, running statistics, absent dates."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.timo.models.literal import LiteralFullAttention, LiteralGyroscopeAttention
from timo.models import attention, fused
from timo.models.attention import FullAttention, GyroscopeAttention

PAIRS = [(LiteralGyroscopeAttention, GyroscopeAttention), (LiteralFullAttention, FullAttention)]
sizes = st.fixed_dictionaries(
    {
        "B": st.integers(1, 2),
        "T": st.integers(1, 7),
        "H": st.integers(1, 5),
        "W": st.integers(1, 5),
        "heads": st.sampled_from([1, 2, 4]),
        "head_dim": st.sampled_from([1, 3, 8]),
        "absent": st.booleans(),
        "spread": st.sampled_from([0.5, 2.0]),
        "seed": st.integers(0, 2**31),
    }
)


def twins(literal, short, size):
    """Literal and short attention with the same weights, an input for each, and which dates are present."""
    torch.manual_seed(size["seed"])
    B, T, dim = size["B"], size["T"], size["heads"] * size["head_dim"]
    oracle, ours = literal(dim, size["heads"]).double(), short(dim, size["heads"]).double()
    ours.load_state_dict(oracle.state_dict(), strict=True)
    x = size["spread"] * torch.randn(B, T, size["H"] * size["W"], dim, dtype=torch.double)
    present = None
    if size["absent"]:
        present = torch.rand(B, T) < 0.6
        present[torch.arange(B), torch.randint(T, (B,))] = True
    return oracle, ours, x, present


@pytest.mark.parametrize(("literal", "short"), PAIRS)
@given(size=sizes)
def test_outputs_are_those_of_the_literal_form(literal, short, size):
    oracle, ours, x, present = twins(literal, short, size)
    oracle.eval(), ours.eval()
    with torch.no_grad():
        torch.testing.assert_close(ours(x, present), oracle(x, present), atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize(("literal", "short"), PAIRS)
@given(size=sizes)
def test_gradients_and_running_statistics_are_those_of_the_literal_form(literal, short, size):
    size = {**size, "T": max(size["T"], 2)}  # BatchNorm refuses a batch of one value
    oracle, ours, x, present = twins(literal, short, size)
    if present is not None:
        present[:, :2] = True
    inputs, weight = (x.clone().requires_grad_(), x.clone().requires_grad_()), torch.randn_like(x)
    if present is not None:
        weight = weight * present[:, :, None, None]  # what comes out at absent dates means nothing
    outputs = [module(part, present) for module, part in zip((oracle, ours), inputs)]
    for output in outputs:
        (output * weight).sum().backward()
    torch.testing.assert_close(outputs[1] * weight, outputs[0] * weight, atol=1e-8, rtol=1e-8)
    torch.testing.assert_close(inputs[1].grad, inputs[0].grad, atol=1e-8, rtol=1e-7)
    for (name, parameter), expected in zip(ours.named_parameters(), oracle.parameters()):
        torch.testing.assert_close(parameter.grad, expected.grad, atol=1e-8, rtol=1e-7, msg=name)
    for (name, statistic), expected in zip(ours.named_buffers(), oracle.buffers()):
        torch.testing.assert_close(statistic, expected, msg=name)


@given(size=sizes, rows=st.integers(1, 4))
def test_outputs_do_not_depend_on_how_queries_are_split_into_blocks(size, rows):
    _, ours, x, present = twins(*PAIRS[0], size)
    ours.eval()
    B, _, N, _ = x.shape
    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        whole = ours(x, present)
        patch.setattr(attention, "CPU_BLOCK_BYTES", rows * 4 * B * ours.num_heads * N)
        patch.setattr(attention, "LEAST_ROWS", 1)
        torch.testing.assert_close(ours(x, present), whole, atol=1e-9, rtol=1e-9)


def flash_on_cpu(q, k, v):
    """The same kernel's form for CPUs."""
    return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(q, k, v, scale=1.0)


@given(size=sizes, widest=st.sampled_from([1, 8, 24, 128]))
def test_outputs_are_those_of_the_literal_form_with_a_fused_kernel(size, widest):
    oracle, ours, x, present = twins(*PAIRS[0], size)
    oracle.eval(), ours.eval()
    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention, "fuses", lambda _: True)
        patch.setattr(fused, "_flash", flash_on_cpu)
        patch.setattr(fused, "WIDEST", widest)
        torch.testing.assert_close(ours(x, present), oracle(x, present), atol=1e-9, rtol=1e-9)


FITS = {
    "device": "cuda",
    "dtype": torch.bfloat16,
    "dim": 32,
    "major": 9,
    "built": True,
    "hip": None,
    "grad": False,
}


@pytest.mark.parametrize(
    ("change", "fits"),
    [
        ({}, True),
        ({"dtype": torch.float16, "dim": 256, "major": 8}, True),
        ({"dtype": torch.float32}, False),
        ({"device": "cpu"}, False),
        ({"device": "mps"}, False),
        ({"dim": 264}, False),
        ({"major": 7}, False),  # before Ampere
        ({"built": False}, False),  # as on Windows
        ({"hip": "6.4"}, False),
        ({"grad": True}, False),  # its gradient would be wrong
    ],
)
def test_the_fused_kernel_is_taken_where_it_is_right_and_there(monkeypatch, change, fits):
    case = {**FITS, **change}
    monkeypatch.setattr(fused, "_BUILT", case["built"])
    monkeypatch.setattr(torch.version, "hip", case["hip"])
    facts = SimpleNamespace(major=case["major"])
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: facts)
    queries = SimpleNamespace(
        device=torch.device(case["device"]), dtype=case["dtype"], shape=(1, 4, 9, case["dim"])
    )
    with torch.set_grad_enabled(case["grad"]):
        assert fused.fuses(queries) is fits


def test_one_date_attends_to_space_alone():
    oracle, ours = LiteralGyroscopeAttention(8, 2).eval(), GyroscopeAttention(8, 2).eval()
    ours.load_state_dict(oracle.state_dict())
    x = torch.randn(2, 1, 9, 8)
    full = FullAttention(8, 2)
    full.load_state_dict(
        {name: value for name, value in ours.state_dict().items() if "differential" not in name}
    )
    with torch.no_grad():
        full.q.weight *= 2  # gyroscope attention has no head_dim ** -0.5
        full.q.bias *= 2
        torch.testing.assert_close(ours(x), full(x), atol=1e-6, rtol=0)
        torch.testing.assert_close(ours(x), oracle(x), atol=1e-6, rtol=0)


def test_scores_far_apart_give_no_nan():
    oracle, ours = LiteralGyroscopeAttention(8, 2).eval(), GyroscopeAttention(8, 2).eval()
    ours.load_state_dict(oracle.state_dict())
    x = (300 * torch.randn(1, 3, 16, 8)).requires_grad_()
    out = ours(x)
    torch.testing.assert_close(out, oracle(x), atol=1e-2, rtol=1e-4)
    out.sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("dates", [1, 2, 3, 6, 12, 40])
def test_the_fast_median_is_the_lower_one(dates):
    x = torch.randn(2, 300, dates, 3)
    with torch.no_grad():
        fast = attention.lower_median(x)
    torch.testing.assert_close(fast, x.sort(dim=2).values[:, :, (dates - 1) // 2], atol=0, rtol=0)


def test_no_tensor_of_every_date_and_pair_of_locations_is_made():
    """T * N * N numbers a head would be 9.4 million here; the largest tensor made has not a tenth of that."""
    from torch.utils._python_dispatch import TorchDispatchMode

    largest = 0

    class Sizes(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            nonlocal largest
            result = function(*args, **(kwargs or {}))
            for tensor in result if isinstance(result, tuple | list) else [result]:
                if isinstance(tensor, torch.Tensor):
                    largest = max(largest, tensor.untyped_storage().nbytes() // 4)
            return result

    T, N, dim = 12, 625, 8
    ours = GyroscopeAttention(dim, 2)
    with Sizes():
        ours(torch.randn(1, T, N, dim))
    assert largest < 0.1 * 2 * T * N * N

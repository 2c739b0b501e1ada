# SPDX-License-Identifier: GPL-3.0-or-later
"""A few steps of training, and what they moved."""

import torch

from timo.models.tuning import parameter_groups

SERIES = (2, 3, 4, 32, 32)


def trained(model, steps=2, rate=0.05):
    """Take a few steps with all that may learn."""
    model.train()
    optimizer = torch.optim.AdamW(parameter_groups(model, rate))
    for _ in range(steps):
        optimizer.zero_grad()
        out = model(torch.randn(SERIES))
        sum(part.square().mean() for part in (out if isinstance(out, list) else [out])).backward()
        optimizer.step()
    return model


def moved(model, before):
    """Names of the state's tensors that are no longer as they were."""
    return {name for name, tensor in model.state_dict().items() if not tensor.equal(before[name])}


def state_of(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}

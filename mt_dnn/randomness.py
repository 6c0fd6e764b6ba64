"""Global random number generators, where torch's dropout draws, as something a block can borrow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn


def step_seed(seed: int, *place: int) -> int:
    """A seed of its own for every place, such as (update, batch, process); well mixed, 32 bits."""
    return int(np.random.SeedSequence([seed, *place]).generate_state(1)[0])


@contextmanager
def preserved_rng(device: torch.device | str) -> Iterator[None]:
    """Whatever the block draws from the global generators, they are as before after it.

    The CPU's and that of ``device``. States live on the host (a CUDA generator is a seed and an
    offset), so nothing waits for the device.
    """
    device = torch.device(device)
    cpu_state = torch.get_rng_state()
    if device.type == "cuda":
        cuda_state = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        mps_state = torch.mps.get_rng_state()
    try:
        yield
    finally:
        torch.set_rng_state(cpu_state)
        if device.type == "cuda":
            torch.cuda.set_rng_state(cuda_state, device)
        elif device.type == "mps":
            torch.mps.set_rng_state(mps_state)


@contextmanager
def seeded_rng(seed: int, device: torch.device | str) -> Iterator[None]:
    """The block's draws from the global generators are a function of ``seed`` alone.

    Two forward passes of one shape under one seed use identical dropout masks. As
    :func:`preserved_rng`, the block leaves no trace in the generators.
    """
    device = torch.device(device)
    with preserved_rng(device):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        elif device.type == "mps":
            torch.mps.manual_seed(seed)
        yield


@contextmanager
def dropout_off(module: nn.Module) -> Iterator[None]:
    """Run the block with ``module`` in eval mode; afterwards every submodule is as it was."""
    training = [m for m in module.modules() if m.training]
    for m in training:
        m.training = False
    try:
        yield
    finally:
        for m in training:
            m.training = True

"""Seeds, and context managers that seed and restore torch's global generators."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn


def step_seed(seed: int, *place: int) -> int:
    """Derive a 32-bit seed for a position such as (update, batch, process).

    Different positions give statistically independent seeds.

    Args:
        seed: seed of the run.
        place: integers that identify the position.

    Example::

        torch.manual_seed(step_seed(2018, update, batch))
    """
    return int(np.random.SeedSequence([seed, *place]).generate_state(1)[0])


RngState = tuple[Tensor, Tensor | None]
"""States of the global generators of the CPU and of the device; the second is None on the CPU."""


def rng_state(device: torch.device | str) -> RngState:
    """Read the states of the global generators of the CPU and of ``device``.

    The states are kept on the host (the state of a CUDA generator is a seed and an offset), so
    reading and setting them does not synchronize with the device.
    """
    device = torch.device(device)
    if device.type == "cuda":
        return torch.get_rng_state(), torch.cuda.get_rng_state(device)
    if device.type == "mps":
        return torch.get_rng_state(), torch.mps.get_rng_state()
    return torch.get_rng_state(), None


def set_rng_state(state: RngState, device: torch.device | str) -> None:
    """Set the global generators to the result of :func:`rng_state`."""
    device = torch.device(device)
    cpu_state, device_state = state
    torch.set_rng_state(cpu_state)
    if device_state is not None and device.type == "cuda":
        torch.cuda.set_rng_state(device_state, device)
    elif device_state is not None and device.type == "mps":
        torch.mps.set_rng_state(device_state)


@contextmanager
def preserved_rng(device: torch.device | str) -> Iterator[None]:
    """Restore the global generators of the CPU and of ``device`` after the block."""
    state = rng_state(device)
    try:
        yield
    finally:
        set_rng_state(state, device)


@contextmanager
def seeded_rng(seed: int, device: torch.device | str) -> Iterator[None]:
    """Seed the global generators of the CPU and of ``device`` during the block.

    Two forward passes with the same shapes and the same seed use identical dropout masks. The
    generators are restored afterwards, as by :func:`preserved_rng`.

    Example::

        with seeded_rng(7, embeds.device):
            logits = model.logits(embeds, batch)
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
    """Run the block with ``module`` in eval mode, then restore all modes."""
    training = [m for m in module.modules() if m.training]
    for m in training:
        m.training = False
    try:
        yield
    finally:
        for m in training:
            m.training = True

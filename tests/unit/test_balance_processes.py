"""Two processes agree on rho: the norm is that of their mean gradient."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from mt_dnn.objective.balance import gradient_norm

INPUTS = torch.tensor([[1.0, 2.0], [-3.0, 5.0]])
"""One row for each process."""


def norm(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return gradient_norm(model(x).square().mean(), list(model.parameters()))


def make() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(2, 3)


def process(rank: int, folder: str) -> None:
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2
    )
    torch.save(norm(make(), INPUTS[rank : rank + 1]), f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.skipif(
    not (torch.distributed.is_available() and torch.distributed.is_gloo_available()),
    reason="torch without gloo",
)
def test_two_processes_find_the_norm_of_the_mean_gradient(tmp_path: Path):
    torch.multiprocessing.start_processes(process, (str(tmp_path),), nprocs=2, start_method="fork")
    found = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    assert found[0] == found[1]
    torch.testing.assert_close(found[0], norm(make(), INPUTS))
    assert found[0] < (norm(make(), INPUTS[:1]) + norm(make(), INPUTS[1:])) / 2

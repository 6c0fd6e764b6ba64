"""What only a GPU can show; skipped where there is none."""

from __future__ import annotations

import pytest
import torch

from mt_dnn.training.trainer import Trainer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.mark.parametrize("smart", ["off", "smart"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_an_update_never_waits_for_the_device(tiny_config, smart, precision):
    """CUDA itself watches: any synchronizing call raises."""
    trainer = Trainer(tiny_config(smart=smart, system={"device": "cuda", "precision": precision}))
    updates = trainer.updates()
    batches = [next(updates) for _ in range(4)]
    trainer.update(batches[0])  # the first allocates, and loads kernels
    torch.cuda.set_sync_debug_mode("error")
    try:
        for batch in batches[1:]:
            trainer.update(batch)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_run_with_smart_ends_with_scores(tiny_config, precision):
    best = Trainer(
        tiny_config(smart="smart", system={"device": "cuda", "precision": precision})
    ).fit()
    assert best["average"] is not None

"""Two questions to a device: where an update's time goes, and what bfloat16 does to R_s."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from accelerate.state import AcceleratorState
from torch import Tensor
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity

from data_utils.collator import Batch
from mt_dnn.config.run import (
    BatchConfig,
    DataConfig,
    ModelConfig,
    RunConfig,
    SystemConfig,
    TrainConfig,
)
from mt_dnn.config.smart import ProximalConfig, SmoothnessConfig
from mt_dnn.objective.objective import Objective
from mt_dnn.training.trainer import Trainer

WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize", "cudaMemcpy")
"""Calls that wait for the device. cudaMemcpyAsync is not among them: it does not wait."""
UPDATES = 5

MNLI = """\
mnli:
  data_format: PremiseAndOneHypothesis
  task_type: Classification
  labels: [contradiction, neutral, entailment]
  metric_meta: [ACC]
"""


def profile(train: Callable[[int], None], device: str) -> dict[str, Any]:
    """Measure one of the first updates: the mean of UPDATES, after as many to warm up.

    Args:
        train: ``train(n)`` makes n updates.

    Returns:
        Time of an update without the profiler, and of its kernels, in ms; number of kernels, and of
        calls that wait for the device; under ``details`` the kernels and host operators that take
        the most time, in ms.
    """
    cuda = device == "cuda"

    def synchronize() -> None:
        if cuda:
            torch.cuda.synchronize()

    train(UPDATES)
    synchronize()
    started = time.perf_counter()
    train(UPDATES)
    submitted = time.perf_counter() - started
    synchronize()
    wall = time.perf_counter() - started
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    with torch.profiler.profile(activities=activities) as profiler:
        train(UPDATES)
        synchronize()
    kernels = [e for e in profiler.events() if e.device_type == DeviceType.CUDA]
    waits = Counter(e.name for e in profiler.events() if e.name in WAITS)
    waits["cudaDeviceSynchronize"] -= cuda  # the one above
    table = profiler.key_averages()
    on_device = sorted(table, key=lambda e: -e.self_device_time_total)[:14]
    on_host = sorted(table, key=lambda e: -e.self_cpu_time_total)[:14]
    return {
        "update ms": 1000 * wall / UPDATES,
        "submitted ms": 1000 * submitted / UPDATES,
        "busy ms": busy([(e.time_range.start, e.time_range.end) for e in kernels]) / 1000 / UPDATES,
        "kernels": len(kernels) / UPDATES,
        "waits": sum(waits.values()) / UPDATES,
        "details": {
            "waits": dict(waits),
            "device": {e.key[:80]: e.self_device_time_total / 1000 / UPDATES for e in on_device},
            "host": {e.key[:80]: e.self_cpu_time_total / 1000 / UPDATES for e in on_host},
        },
    }


def busy(intervals: list[tuple[float, float]]) -> float:
    """Length of the union of the intervals."""
    total, end = 0.0, float("-inf")
    for start, stop in sorted(intervals):
        total += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return total


def smart_precision(encoder: str, data_dir: Path, device: str, scratch: Path) -> dict[str, Any]:
    """Compare R_s and its gradient in theta with bfloat16 passes to float32 ones, at radius 5e-4.

    The model is trained on three classes first. The figures are means over batches. Dropout is off,
    because its masks depend on the precision.
    """
    folder = scratch / "mnli"
    folder.mkdir(exist_ok=True)
    (folder / "tasks.yml").write_text(MNLI, encoding="utf-8")
    updates, measured = (4, 2) if device == "cpu" else (180, 12)
    config = RunConfig(
        name="precision",
        output_dir=str(folder / "runs"),
        overwrite=True,
        data=DataConfig(
            tasks=str(folder / "tasks.yml"),
            data_dir=str(data_dir),
            store_dir=str(folder / "store"),
            max_seq_len=128,
        ),
        model=ModelConfig(encoder=encoder),
        batch=BatchConfig(size=16),
        train=TrainConfig(epochs=9, max_steps=updates + measured),
        system=SystemConfig(device=device, precision="bf16"),  # type: ignore[arg-type]
        smart="smart",
        proximal=ProximalConfig(weight=0.0),
        smoothness=SmoothnessConfig(weight=0.0),
    )
    AcceleratorState._reset_state(reset_partial_state=True)
    trainer = Trainer(config)
    stream = trainer.updates()
    for batches in islice(stream, updates):
        trainer.update(batches)
    trainer.model.eval()
    found: dict[str, list[float]] = {"R_s": [], "R_s ratio": [], "cosine": [], "rho": []}
    for (batch,) in islice(stream, measured):
        batch = batch.to(device)
        wide, narrow = (smart_gradient(trainer, batch, p) for p in ("float32", "autocast"))
        found["R_s"].append(float(wide[0]))
        found["R_s ratio"].append(float(narrow[0] / wide[0]))
        found["cosine"].append(float(torch.cosine_similarity(narrow[1], wide[1], dim=0)))
        found["rho"].append(float(wide[1].norm() / wide[2].norm()))
    return {name: sum(values) / len(values) for name, values in found.items()}


def smart_gradient(trainer: Trainer, batch: Batch, precision: str) -> tuple[Tensor, Tensor, Tensor]:
    """Return R_s, its gradient in the encoder, and that of the supervised loss."""
    changes = SmoothnessConfig(
        epsilon=5e-4,
        step_size=5e-2,
        sigma=5e-4,
        weight=1.0,
        precision=precision,  # type: ignore[arg-type]
    )
    config = dataclasses.replace(trainer.config.smoothness, **_given(changes))
    changed = dataclasses.replace(trainer.config, smoothness=config)
    objective = Objective.from_config(trainer.model, changed)
    with trainer.accelerator.autocast():
        terms = objective(batch, seed=7)
    parameters = list(trainer.model.encoder.parameters())

    def gradient(value: Tensor, *, keep: bool) -> Tensor:
        parts = torch.autograd.grad(value, parameters, retain_graph=keep, allow_unused=True)
        return torch.cat([part.float().flatten() for part in parts if part is not None])

    smoothness = gradient(terms.values["smoothness"], keep=True)
    supervised = gradient(terms.values["loss"], keep=False)
    return terms.values["smoothness"].detach(), smoothness, supervised


def _given(config: SmoothnessConfig) -> dict[str, Any]:
    values = {f.name: getattr(config, f.name) for f in dataclasses.fields(config)}
    return {name: value for name, value in values.items() if value is not None}

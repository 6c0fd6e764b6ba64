"""Measure whether the adversarial perturbation of every preset increases the loss, on trained models.

For each run, the benchmark loads the best model in eval mode, without dropout, and uses the first rows
of its dev sets. x are the word embeddings; delta is the perturbation that the preset computes from its
starting noise. All presets are measured with the task type's own l_s, on the same rows, against the
same baseline: random signs, scaled on every token to the l2 norm of delta. (Training logs its gain
against signs of the preset's own norm. If that norm is linf, the signs are longer in l2, and the logged
gain is smaller.)

    column                     definition and interpretation
    |delta|_inf                Largest entry of a token's delta, mean over tokens. Shows whether the
                               declared radius is kept.
    |delta|_2 / |x|_2          Relative size of the perturbation, over all real tokens. Compare the gains
                               of two lines as methods only if this size is similar: beyond a small
                               radius l_s saturates and every gain falls.
    l_s at delta               Value of R_s without dropout, to compare with the supervised loss. Near 0
                               the term has hardly any effect, whatever its gain.
    l_s at random signs        The baseline.
    gain                       Ratio of the two. Above 1, the direction of delta matters, not only its
                               size. If f is linear in delta, the mean gain is at most about the number
                               of perturbed coordinates, and 2/pi of that for the sign of a normally
                               distributed gradient.
    from .. to                 Smallest and largest gain of a single draw. For one random direction, l_s
                               follows chi^2 with one degree of freedom, so the relative error of the
                               gain is at least sqrt(2 / (rows draws)).
    over its own noise         l_s at delta divided by l_s at the starting noise, projected to the ball
                               in the same way but without the gradient: the contribution of the ascent.
                               About 1: no contribution, delta is noise. Growth in size is included.
                               "-": the preset has no ascent.
    gain read in float32       The same deltas, with both l_s computed in float32 as in training. If it
                               differs much from ``gain``, rounding errors dominate l_s, and neither the
                               gain that training logs nor the gradient is reliable.
    gain climbed in float64    The same noise, with the gradient of the ascent in float64. If it is above
                               ``gain``, float32 weakens the ascent.
    gain climbed with dropout  The same noise, with dropout in the ascent as the preset uses it in
                               training (shared masks, or new masks in every pass). delta is then
                               measured without dropout, against signs of its size. At a noise of 1e-5,
                               l_s without dropout is at its minimum and has almost no gradient.
                               ``projected`` rescales this gradient. ``normalized`` uses it as it is, and
                               therefore follows the change caused by new masks, not by delta.

Unless the column states otherwise, deltas are computed in float32 without dropout, and l_s in float64
with weights converted to float64. The pdr_* presets ascend their own divergence. Near 0 all divergences
are multiples of each other, and a regression task keeps its squared error, so there these presets are
equal to ``smart``. ``smart, eps E`` keeps the paper's proportions: sigma = E, eta = 100 E;
mtdnn_release with the same eps compares the two methods at the same size. The released code perturbs
the output of the whole embedding block, which LayerNorm makes larger (8 times in MiniLM). Relative to
what it perturbs, its size corresponds to an eps of about 0.1 here, not to the preset's 1. freelb is
measured at its last iterate. rdrop does not perturb.

A model that is no better than chance shows nothing, because its gradients are those of memorized noise.
The score is therefore printed above the table, and marked as chance unless it exceeds both the constant
guess and 99 of 100 shuffles of the labels.

The first line checks the identity that all measurements rely on: the largest difference between the
logits at delta = 0 and those of the encoder's own forward pass on the token ids. It must be 0.
"""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jsonargparse import ArgumentParser, set_parsing_settings
from rich.console import Console

from benchmarks.gain_probe import Probe, draw
from benchmarks.gain_report import GainReport, Line, show
from data_utils.cli import run_cli
from data_utils.collator import Batch, collate
from data_utils.errors import UserError
from data_utils.manifest import Manifest
from data_utils.registries import METRICS
from mt_dnn.config.parser import parse_config
from mt_dnn.config.presets import resolve
from mt_dnn.config.run import SystemConfig
from mt_dnn.config.smart import ProximalConfig, SmoothnessConfig
from mt_dnn.devices import build_accelerator, device_name
from mt_dnn.inference.evaluate import Evaluation, evaluate
from mt_dnn.inference.loop import ordered_batches
from mt_dnn.inference.predictor import load
from mt_dnn.model import MTDNN
from mt_dnn.randomness import step_seed
from mt_dnn.runs.run_dir import describe_environment
from mt_dnn.runs.stores import prepare_stores

VARIANTS: dict[str, tuple[str, dict[str, float]]] = {
    "smart": ("smart", {}),
    **{
        f"smart, eps {eps:g}": ("smart", {"epsilon": eps, "sigma": eps, "step_size": 100 * eps})
        for eps in (1e-3, 1e-2, 1e-1, 1.0)
    },
    "mtdnn_release": ("mtdnn_release", {}),
    "mtdnn_release, eta 1e-3": ("mtdnn_release", {"step_size": 1e-3}),
    **{
        f"mtdnn_release, eta 1e-3, eps {eps:g}": (
            "mtdnn_release",
            {"step_size": 1e-3, "epsilon": eps},
        )
        for eps in (1e-5, 1e-1)
    },
    "r3f": ("r3f", {}),
    "freelb": ("freelb", {}),
    "pdr_js": ("pdr_js", {}),
    "pdr_hellinger": ("pdr_hellinger", {}),
}
"""Line of the table -> preset, and the settings that replace the preset's."""
SHUFFLES = 200
WIDTH = 260


@dataclass(frozen=True)
class Settings:
    """Models to measure, and the number of rows and draws."""

    runs: str
    """Run directories, separated by commas."""
    rows: int = 64
    """First rows of each dev set."""
    batch_size: int = 16
    """Examples in a batch. It affects the numbers only through the random draws."""
    draws: int = 3
    """Draws of noise and of random signs; every preset gets the same draws."""
    seed: int = 0
    """Seed of the draws."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Device; MPS is not supported because it has no float64."""
    out: str | None = None
    """Write the numbers to this .json file, and the tables to a .md file beside it."""


def configurations() -> Iterator[tuple[str, SmoothnessConfig]]:
    """Settings of every variant, changed so that :func:`perturbation` ends at the term's last iterate."""
    for name, (preset, changes) in VARIANTS.items():
        config, _ = resolve(preset, SmoothnessConfig(**changes), ProximalConfig())  # type: ignore[arg-type]
        if config.ascent == "accumulated":  # its iterates include the starting point
            assert config.steps is not None
            config = replace(config, ascent="projected", steps=config.steps - 1)
        yield name, config


def measure(model: MTDNN, batches: list[Batch], settings: Settings) -> tuple[list[Line], float]:
    """Measure one data set with ``model`` in eval mode.

    Returns:
        The lines of the table, and the largest difference of logits at delta = 0.
    """
    exact = copy.deepcopy(model).double()

    @cache
    def pairs(space: str | None) -> list[tuple[Probe, Probe]]:
        return [(Probe(model, batch, space), Probe(exact, batch, space)) for batch in batches]

    lines = []
    for name, config in configurations():
        seeds = (step_seed(settings.seed, number) for number in range(settings.draws))
        draws = [draw(pairs(config.space), config, seed) for seed in seeds]
        lines.append(Line.of(name, config, draws))
    return lines, max(probe.identity() for probe, _ in pairs("words"))


def shuffled_score(evaluation: Evaluation, seed: int) -> float:
    """Score that 99 of 100 shuffles of the labels do not reach."""
    metric = METRICS.get(evaluation.task.metric_for_best)
    gold, values, scores = zip(
        *((p.gold, p.value, p.scores) for p in evaluation.predictions), strict=True
    )
    rng = np.random.default_rng(seed)
    found = [
        metric([gold[i] for i in rng.permutation(len(gold))], list(values), list(scores))
        for _ in range(SHUFFLES)
    ]
    return float(np.quantile(found, 0.99 if metric.greater_is_better else 0.01))


def report_run(run: str, settings: Settings) -> tuple[list[GainReport], list[Manifest], str]:
    """Measure every dev set of a run.

    Returns:
        Reports, manifests of the data, and the name of the device.

    Raises:
        UserError: the run does not exist, or its data is missing or has changed.
    """
    path = Path(run) / "config.yml"
    if not path.is_file():
        raise UserError(
            f"{run} is not a run directory: it has no config.yml with the paths of its data"
        )
    config = parse_config(["--config", str(path)], prog="python -m benchmarks.smart_gain")
    accelerator = build_accelerator(SystemConfig(device=settings.device))
    predictor = load(run, settings.device)
    model = predictor.model.requires_grad_(False)
    assert isinstance(model, MTDNN)  # of one run
    stores = prepare_stores(predictor.tasks, config, predictor.tokenizer, roles=("dev",))["dev"]
    if not stores:
        raise UserError(f"{run}: none of its tasks has dev rows in {config.data.data_dir}")
    reports = []
    for dataset, store in stores.items():
        evaluation = evaluate(model, store, batch_size=64, accelerator=accelerator)
        chunks = ordered_batches(store.lengths[: settings.rows], settings.batch_size)
        batches = [collate(store, chunk).to(settings.device) for chunk in chunks]
        lines, identity = measure(model, batches, settings)
        real = torch.cat([model.embed(b)[b.attention_mask.bool()] for b in batches])
        name = evaluation.task.metric_for_best
        sign = 1 if METRICS.get(name).greater_is_better else -1
        score, constant = evaluation.metrics[name], evaluation.baseline[name]
        shuffled = shuffled_score(evaluation, settings.seed)
        reports.append(
            GainReport(
                run=Path(run).resolve().name,
                dataset=dataset,
                rows=sum(map(len, batches)),
                tokens=len(real),
                metric=name,
                score=score,
                constant=constant,
                shuffled=shuffled,
                above_chance=sign * score > max(sign * constant, sign * shuffled),
                identity=identity,
                mean_embedding=real.abs().mean().item(),
                lines=lines,
            )
        )
    return reports, [store.manifest for store in stores.values()], device_name(accelerator)


def main() -> None:
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    summary, _, _ = str(__doc__).partition("\n")  # wrapping would break the table
    parser = ArgumentParser(prog="python -m benchmarks.smart_gain", description=summary)
    parser.add_class_arguments(Settings)
    settings = Settings(**parser.parse_args().as_dict())
    for name in ("rows", "batch_size", "draws"):
        if getattr(settings, name) < 1:
            raise UserError(f"{name}: {getattr(settings, name)}; it must be at least 1")
    console = Console(width=WIDTH, highlight=False)
    reports: list[GainReport] = []
    manifests: list[Manifest] = []
    device: str = settings.device
    for run in filter(None, map(str.strip, settings.runs.split(","))):
        found, read, device = report_run(run, settings)
        for report in found:
            show(report, console)
        reports += found
        manifests += read
    if settings.out:
        write(Path(settings.out), reports, settings, device, manifests)


def write(
    path: Path,
    reports: list[GainReport],
    settings: Settings,
    device: str,
    manifests: list[Manifest],
) -> None:
    """Write numbers and their provenance to ``path``.json, and the tables to ``path``.md."""
    path.parent.mkdir(parents=True, exist_ok=True)
    environment = describe_environment(device, torch.get_num_threads(), manifests)
    found: dict[str, Any] = {
        "settings": dataclasses.asdict(settings),
        "environment": environment,
        "reports": [dataclasses.asdict(report) for report in reports],
    }
    path.with_suffix(".json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    with path.with_suffix(".md").open("w", encoding="utf-8") as stream:
        console = Console(file=stream, width=WIDTH, highlight=False)
        console.print(
            f"`python -m benchmarks.smart_gain`: {device}, torch "
            f"{environment['packages']['torch']}, commit {environment['commit']}; "
            f"{settings.draws} draws, seed {settings.seed}. Its docstring explains the columns.\n",
            soft_wrap=True,
        )
        for report in reports:
            show(report, console)


if __name__ == "__main__":
    run_cli(main)

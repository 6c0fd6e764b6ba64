"""Does the perturbation climb? Every preset that perturbs, on models that have learned something.

For each run its best model, in eval mode (no dropout, so that the perturbation alone is seen), on the
first rows of its dev sets. x are the word embeddings, delta what the preset makes of its noise. All
presets are measured by the task type's own l_s, on the same rows, against the same baseline: random
signs, scaled on every token to the l2 norm that delta has there. (Training logs its gain against
signs of the preset's own norm; where that is linf they are longer in l2, and its gain is smaller.)

    column                     what it is, and what it allows to say
    |delta|_inf                largest entry of a token's delta, mean over tokens: whether a radius is
                               kept. What is declared and what is used may differ.
    |delta|_2 / |x|_2          size beside what is perturbed, over all real tokens. Gains of two lines
                               may be compared as methods only where this is alike: beyond a small
                               radius l_s saturates and every gain falls.
    l_s at delta               what R_s is there, without dropout: weigh it against the supervised loss.
                               Near 0 the term hardly acts, whatever its gain.
    l_s at random signs        the baseline.
    gain                       their ratio. Above 1: the direction matters, not the size alone. Where f
                               is linear in delta its mean is at most about the number of perturbed
                               coordinates, and 2/pi of that for the sign of a normal gradient.
    from .. to                 the gain of each draw alone. One random direction has l_s ~ chi^2 of one
                               degree, so the gain's relative error is at least sqrt(2 / (rows draws)).
    over its own noise         l_s at delta over l_s at the starting noise, put on the ball alike but
                               with the gradient left out: what the ascent itself adds. About 1:
                               nothing, delta is noise. It includes any growth in size; - : no ascent.
    gain read in float32       the same deltas, both l_s in float32, as training sees them. Far from
                               ``gain``: rounding drowns l_s, and what training logs is not to be
                               trusted; neither is its gradient.
    gain climbed in float64    the same noise, but the ascent's gradient in float64. Above ``gain``:
                               float32 costs the ascent something.
    gain climbed with dropout  the same noise, but the ascent with dropout as the preset has it in
                               training (shared masks, or new ones in every pass), delta then measured
                               without, against signs of its size. At a noise of 1e-5 l_s without
                               dropout is at its minimum and has next to no gradient. ``projected``
                               rescales that; ``normalized`` takes it raw, and so lives on what new
                               masks, and not delta, change.

Apart from the columns that say otherwise, deltas are made in float32 without dropout, and l_s is read
in float64 with the weights widened. pdr_* climb their own divergence; all near 0 are multiples of one
another, and a regression task keeps its squared error, so there they are ``smart`` again.
``smart, eps E`` keeps the paper's proportions: sigma = E, eta = 100 E; mtdnn_release at the same eps
compares the two methods at one size. The released code perturbs what the whole embedding block gives,
which LayerNorm makes larger (8 times in MiniLM): beside what it perturbs, its size there is that of an
eps of about 0.1 here, and not of the preset's 1. freelb is measured at its last iterate. rdrop does
not perturb.

A model no better than chance shows nothing: its gradients are those of memorized noise. So its score
stands above the table, and is said to be chance unless it beats the constant guess as well as 99 of
100 shuffles of the labels.

The first line is the identity that all rests on: logits at delta = 0 against those of the encoder's
own forward pass on the token ids, largest difference; it must be 0.
"""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
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
from data_utils.metrics import METRICS
from mt_dnn.config.parser import parse_config
from mt_dnn.config.run import SystemConfig
from mt_dnn.config.smart import ProximalConfig, SmoothnessConfig, resolve
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
"""Line of the table -> preset, and what is changed in it."""
SHUFFLES = 200
WIDTH = 260


@dataclass(frozen=True)
class Settings:
    """Which models, and on how much."""

    runs: str
    """Run directories, separated by commas."""
    rows: int = 64
    """First rows of each dev set."""
    batch_size: int = 16
    """Examples in a batch; the figures do not depend on it but for the draws."""
    draws: int = 3
    """Draws of noise and of random signs; the same ones for every preset."""
    seed: int = 0
    """Of the draws."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where; MPS has no float64."""
    out: str | None = None
    """Write the figures to this .json file, and the tables to a .md file beside it."""


def configurations() -> Iterator[tuple[str, SmoothnessConfig]]:
    """Every variant's settings, so that :func:`perturbation` ends at the last point that the term sees."""
    for name, (preset, changes) in VARIANTS.items():
        config, _ = resolve(preset, SmoothnessConfig(**changes), ProximalConfig())  # type: ignore[arg-type]
        if config.ascent == "accumulated":  # its iterates include the start
            assert config.steps is not None
            config = replace(config, ascent="projected", steps=config.steps - 1)
        yield name, config


def measure(model: MTDNN, batches: list[Batch], settings: Settings) -> tuple[list[Line], float]:
    """The table of one data set, and the identity's largest violation; ``model`` in eval mode."""
    exact = copy.deepcopy(model).double()
    pairs = [(Probe(model, batch), Probe(exact, batch)) for batch in batches]
    lines = []
    for name, config in configurations():
        seeds = (step_seed(settings.seed, number) for number in range(settings.draws))
        lines.append(Line.of(name, config, [draw(pairs, config, seed) for seed in seeds]))
    return lines, max(probe.identity() for probe, _ in pairs)


def shuffled_score(evaluation: Evaluation, seed: int) -> float:
    """The metric that 99 of 100 shuffles of the labels do not reach."""
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
    """Every dev set of a run; the manifests of their data; the device.

    Raises:
        UserError: no such run, or its data is gone or has changed.
    """
    path = Path(run) / "config.yml"
    if not path.is_file():
        raise UserError(f"{run} is not a run: it has no config.yml, which says where its data is")
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
    summary, _, _ = str(__doc__).partition("\n")  # its tables do not survive being wrapped
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
    """Figures with their provenance to ``path``.json, tables to ``path``.md."""
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

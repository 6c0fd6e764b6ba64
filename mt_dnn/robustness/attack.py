"""The attack of SMART on the word embeddings, at growing radius, beside random noise of the same size.

The perturbation is that of Algorithm 1 of SMART (arXiv 1911.03437), computed by
:func:`mt_dnn.objective.smoothness.perturbation`: gradient ascent on the divergence from the clean
prediction, which needs no labels, within ||delta||_inf <= radius. With ``on_loss`` the ascent is on the
supervised loss instead. The noise has random signs, and on every token the norm of the attack's delta.

A step moves to the corner of the ball that the gradient points to (eta is 100 radii, the paper's ratio). Near x
the divergence is convex in delta, and for a convex function such steps never lower its value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from data_utils.collator import Batch
from data_utils.encoded_rows import EncodedRows
from mt_dnn.config.presets import resolve
from mt_dnn.config.smart import ProximalConfig, SmoothnessConfig
from mt_dnn.inference.evaluate import score
from mt_dnn.inference.loop import by_row, ordered_batches
from mt_dnn.inference.losses import NOTHING, Share, mean_loss
from mt_dnn.model import MTDNN
from mt_dnn.objective.norm_ball import random_signs_like
from mt_dnn.objective.smoothness import perturbation
from mt_dnn.randomness import dropout_off, step_seed
from mt_dnn.reports.robustness import ATTACK, NOISE
from mt_dnn.robustness.measure import Measured, measured
from mt_dnn.task_types import Prediction, TaskType


@dataclass(frozen=True)
class Attacked:
    """Scores under one kind of perturbation at one radius."""

    scores: Measured
    divergence: float | None
    """Mean divergence from the clean prediction; None if the task type has none."""

    def record(self) -> dict[str, Any]:
        """Return the part of robustness.json."""
        return self.scores.record() | {"divergence": self.divergence}


@dataclass(frozen=True)
class Attack:
    """Settings of the attack."""

    steps: int = 3
    """Steps of gradient ascent, T_x."""
    on_loss: bool = False
    """Whether the ascent is on the supervised loss, and not on the divergence."""
    seed: int = 0
    """Seed of the initial noise of the ascent, and of the random signs."""

    def smoothness(self, radius: float) -> SmoothnessConfig:
        """Return the settings of the ascent: those of the preset ``smart``, with this radius.

        Raises:
            UserError: ``steps`` is out of range.
        """
        given = SmoothnessConfig(epsilon=radius, steps=self.steps, dropout="off")
        return resolve("smart", given, ProximalConfig())[0]


def embedding_size(model: MTDNN, rows: EncodedRows, batch_size: int = 64) -> float:
    """Return the root mean square of the word embeddings of the rows' tokens, without padding."""
    total, count = 0.0, 0
    device = next(model.parameters()).device
    with torch.no_grad(), dropout_off(model):
        for chunk in ordered_batches(rows.table.lengths, batch_size):
            batch = rows.batch(chunk).to(device)
            real = model.embed(batch)[batch.attention_mask.bool()].double()  # (tokens, E)
            total += float(real.square().sum())
            count += real.numel()
    return (total / count) ** 0.5


def attack_rows(
    model: MTDNN, rows: EncodedRows, radius: float, attack: Attack, *, batch_size: int = 64
) -> dict[str, Attacked]:
    """Predict rows with perturbed word embeddings, in eval mode and without autocast.

    Args:
        model: the model.
        rows: labelled rows of one task.
        radius: bound of each coordinate of the perturbation; 0 gives the clean scores exactly.
        attack: the settings.
        batch_size: examples in a batch.

    Returns:
        ``attack`` and ``noise``, each with its scores and its divergence from the clean prediction.

    Raises:
        UserError: the task type has no divergence and ``on_loss`` is not set.
    """
    kind = model.task_types[rows.task]
    found: dict[str, list[tuple[int, Prediction, Share]]] = {ATTACK: [], NOISE: []}
    moved: dict[str, list[Share]] = {ATTACK: [], NOISE: []}
    device = next(model.parameters()).device
    with dropout_off(model):
        for number, chunk in enumerate(ordered_batches(rows.table.lengths, batch_size)):
            batch = kind.prepare(rows.batch(chunk).to(device), number)
            step = _Batch(model, kind, batch)
            deltas = step.deltas(radius, attack, step_seed(attack.seed, number))
            for name, delta in deltas.items():
                predictions, share, divergence = step.read(delta)
                shares = [share, *[NOTHING] * (len(chunk) - 1)]
                found[name] += zip(chunk, predictions, shares, strict=True)
                if divergence is not None:
                    moved[name].append(divergence)
    return {
        name: Attacked(
            _scores(kind, rows, found[name]), mean_loss(moved[name]) if moved[name] else None
        )
        for name in found
    }


class _Batch:
    """One batch: its clean prediction, and predictions at perturbed embeddings."""

    def __init__(self, model: MTDNN, kind: TaskType, batch: Batch) -> None:
        self.model, self.kind, self.batch = model, kind, batch
        with torch.no_grad():
            self.embeds = model.embed(batch)  # (N, T, E)
            self.clean = model.logits(self.embeds, batch)

    def deltas(self, radius: float, attack: Attack, seed: int) -> dict[str, Tensor]:
        """Return the perturbations, (N, T, E) each, exactly 0 on padding."""
        if radius == 0:
            return dict.fromkeys((ATTACK, NOISE), torch.zeros_like(self.embeds))
        generator = torch.Generator(self.embeds.device).manual_seed(seed)
        delta, _ = perturbation(
            lambda embeds: self.model.logits(embeds, self.batch),
            self.embeds,
            self.clean,
            self._loss if attack.on_loss else self._divergence,
            self.batch.attention_mask,
            attack.smoothness(radius),
            generator,
            units=self.kind.units(self.batch),
        )
        signs = random_signs_like(delta, norm="linf", generator=generator)
        return {ATTACK: delta, NOISE: signs}

    def _loss(self, logits: Tensor, clean: Tensor) -> Tensor:
        return self.kind.loss(logits, self.batch)

    def _divergence(self, logits: Tensor, clean: Tensor) -> Tensor:
        return self.kind.divergence(logits, clean, self.batch)

    @torch.no_grad()
    def read(self, delta: Tensor) -> tuple[list[Prediction], Share, Share | None]:
        """Predict at x + delta.

        Returns:
            The predictions, the share of the loss, and that of the divergence from the clean prediction.
        """
        hidden = self.model.encode(self.embeds + delta, self.batch)
        head = self.model.head(self.batch)
        logits = head(hidden, self.batch)
        decoded = self.kind.infer(head, hidden, self.batch)
        predictions = self.kind.decode(decoded.float().cpu(), self.batch.to("cpu"))
        units = float(self.kind.loss_units(self.batch))
        loss = (float(self.kind.loss(logits, self.batch)) * units, units) if units else NOTHING
        if not has_divergence(self.kind):
            return predictions, loss, None
        weight = float(self.kind.units(self.batch))
        return predictions, loss, (float(self._divergence(logits, self.clean)) * weight, weight)


def _scores(
    kind: TaskType, rows: EncodedRows, found: Sequence[tuple[int, Prediction, Share]]
) -> Measured:
    ordered = sorted(found, key=lambda entry: entry[0])
    single = [prediction for _, prediction, _ in ordered]
    predictions = [kind.merge(windows) for windows in by_row(single, rows.table.windows)]
    metrics, _ = score(kind, predictions)
    return measured(kind, predictions, metrics, mean_loss(share for _, _, share in ordered))


def has_divergence(kind: TaskType) -> bool:
    """Whether the type can be attacked without labels."""
    return getattr(kind, "divergence", None) is not None

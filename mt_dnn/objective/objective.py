"""What a step minimizes, term by term: F = (1 - w_t) L + w_t D_kd + lambda_s R_s + mu D_Breg.

R_s and D_Breg are SMART's (arXiv 1911.03437, eq. 1, 3), D_kd is distillation's
(mt_dnn/objective/supervised.py).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from data_utils.collator import Batch
from data_utils.errors import UserError
from mt_dnn.config.run import RunConfig
from mt_dnn.model import MTDNN
from mt_dnn.objective.proximal import ProximalTeacher
from mt_dnn.objective.smoothness import SmoothnessStats, smoothness_loss
from mt_dnn.objective.supervised import distillation_loss, teacher_weight
from mt_dnn.randomness import dropout_off, seeded_rng, step_seed


class LossTerms(NamedTuple):
    """Scalars with gradient; a term that is off is None, and its work is not done."""

    total: Tensor
    """w F, w the task's weight."""
    supervised: Tensor
    """L"""
    smoothness: Tensor | None = None
    """R_s"""
    proximal: Tensor | None = None
    """D_Breg"""
    distill: Tensor | None = None
    """D_kd"""
    smoothness_stats: SmoothnessStats | None = None

    def named(self, task: str) -> dict[str, Tensor]:
        """The scalars to log, by tag."""
        stats = {} if self.smoothness_stats is None else self.smoothness_stats._asdict()
        named = {
            f"train/{task}/loss": self.supervised,
            f"train/{task}/smoothness": self.smoothness,
            f"train/{task}/proximal": self.proximal,
            f"train/{task}/distill": self.distill,
            **{f"smart/{task}/{name}": value for name, value in stats.items() if name != "loss"},
        }
        return {tag: value for tag, value in named.items() if value is not None}


class Objective(nn.Module):
    """A batch -> its loss terms.

    A module, so that a distributed wrapper sees one forward per step however many passes the
    terms need. The clean logits are computed once and shared by all terms.

    Args:
        model: on its device, with what is frozen frozen.
        config: resolved; a weight of 0 under ``smoothness``, ``proximal`` or ``distill`` switches its
            term off.

    Raises:
        UserError: a term is on and a task's type defines no divergence.
    """

    def __init__(self, model: MTDNN, config: RunConfig) -> None:
        super().__init__()
        self.model = model
        self.smoothness = config.smoothness
        self.distill = config.distill
        self.lambda_s = config.smoothness.weight or 0.0
        self.mu = config.proximal.weight or 0.0
        self.teacher = ProximalTeacher(model, config.proximal) if self.mu else None
        if self.lambda_s or self.mu:
            for kind in model.task_types.values():
                if getattr(kind, "divergence", None) is None:
                    raise UserError(
                        f"{kind.task.where}: task_type {kind.task.task_type} defines no "
                        f"divergence, which SMART needs; use --smart off"
                    )

    def forward(
        self, batch: Batch, *, seed: int, progress: float = 0.0, measure_gain: bool = False
    ) -> LossTerms:
        """Args:
        batch: on the model's device; one without soft labels is learnt from its labels alone.
        seed: of dropout and noise; all randomness of the step is a function of it.
        progress: the part of the run's updates that is done, by which the teacher is annealed.
        measure_gain: also compare the perturbation with random signs of its size.
        """
        kind = self.model.task_types[batch.task]
        batch = kind.prepare(batch, step_seed(seed, 2))  # not dropout's, and not the noise's
        embeds = self.model.embed(batch)  # (N, T, E)
        with seeded_rng(seed, embeds.device):
            logits = self.model.logits(embeds, batch)
        supervised = kind.loss(logits, batch)
        total, distill, smoothness, proximal, stats = supervised, None, None, None, None
        if self.distill.is_on and batch.soft_labels is not None:
            distill = self._distill(logits, batch)
            weight = teacher_weight(self.distill, progress)
            total = (1 - weight) * supervised + weight * distill
        if self.lambda_s:
            smoothness, stats = self._smoothness(embeds, logits, batch, seed, measure_gain)
            total = total + self.lambda_s * smoothness
        if self.teacher is not None:
            teacher_logits = self.teacher.logits(batch)
            proximal = kind.divergence(logits, teacher_logits, batch)
            total = total + self.mu * proximal
        total = kind.task.weight * total
        return LossTerms(total, supervised, smoothness, proximal, distill, stats)

    def _distill(self, logits: Tensor, batch: Batch) -> Tensor:
        """D_kd through the task's ``kd_loss``, else the one of its type."""
        kind = self.model.task_types[batch.task]
        name = kind.task.kd_loss or kind.kd_loss
        return distillation_loss(
            logits,
            kind.soft_logits(logits, batch),
            lambda p, q: kind.divergence(p, q, batch, name=name),
            temperature=self.distill.temperature,
        )

    def _smoothness(
        self, embeds: Tensor, logits: Tensor, batch: Batch, seed: int, measure_gain: bool
    ) -> tuple[Tensor, SmoothnessStats]:
        """R_s, with dropout in the perturbed passes as ``smoothness.dropout`` says."""
        kind, name = self.model.task_types[batch.task], self.smoothness.divergence
        calls = 0

        def forward(perturbed: Tensor) -> Tensor:
            nonlocal calls
            calls += 1
            if self.smoothness.dropout == "off":
                with dropout_off(self.model):
                    return self.model.logits(perturbed, batch)
            # The clean pass's masks again, or new ones for every pass.
            own = seed if self.smoothness.dropout == "shared" else seed + calls
            with seeded_rng(own, perturbed.device):
                return self.model.logits(perturbed, batch)

        return smoothness_loss(
            forward,
            embeds,
            logits,
            lambda p, q: kind.divergence(p, q, batch, name=name),
            batch.attention_mask,
            self.smoothness,
            torch.Generator(embeds.device).manual_seed(step_seed(seed, 1)),  # not dropout's
            measure_gain=measure_gain,
        )

    def after_update(self, step: int, total_steps: int) -> None:
        """Let the teacher follow; call after optimizer update ``step``, counted from 1."""
        if self.teacher is not None:
            self.teacher.update(step, total_steps)

    def distance(self) -> dict[str, Tensor]:
        """||theta - theta_tilde|| under its tag; empty without a proximal term."""
        return {} if self.teacher is None else {"smart/distance": self.teacher.distance()}

    def teacher_state(self) -> dict[str, Tensor] | None:
        """What to save besides the model; None without a proximal term."""
        return None if self.teacher is None else self.teacher.state_dict()

    def load_teacher_state(self, state: dict[str, Tensor] | None) -> None:
        """Go on from a saved teacher, where both the run and the checkpoint have one."""
        if self.teacher is not None and state is not None:
            self.teacher.load_state_dict(state)

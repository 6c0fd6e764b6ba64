"""The training loss: F = (1 - w_t) L + w_t D_kd + lambda_s R_s + mu D_Breg.

L is the supervised loss, D_kd the distillation term (mt_dnn/objective/supervised.py), R_s and D_Breg
are the smoothness and the proximal term of SMART (arXiv 1911.03437, eq. 1 and 3).
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
    """Loss terms of a batch: scalars with gradient; None for a term that is off."""

    total: Tensor
    """w F, where w is the weight of the task; minimize this."""
    supervised: Tensor
    """L, the supervised loss."""
    smoothness: Tensor | None = None
    """R_s, the smoothness term, without its weight."""
    proximal: Tensor | None = None
    """D_Breg, the proximal term, without its weight."""
    distill: Tensor | None = None
    """D_kd, the distillation term, without its weight."""
    smoothness_stats: SmoothnessStats | None = None
    """Statistics of the smoothness term, to log."""

    def named(self, task: str) -> dict[str, Tensor]:
        """Scalars to log by tag, such as ``train/rte/loss``; only terms that are on.

        Args:
            task: name of the task of the batch.
        """
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
    """Computes the loss terms of a batch.

    The objective is a module so that a distributed wrapper sees one forward call per step, although
    the terms may need several passes through the model. All terms share one clean forward pass.

    Args:
        model: the model on its device, after freezing parameters.
        config: resolved (:func:`mt_dnn.config.bounds.resolve_config`). A weight of 0 in
            ``smoothness``, ``proximal`` or ``distill`` switches that term off.

    Raises:
        UserError: the smoothness or the proximal term is on, but the type of a task defines no
            divergence.

    Example::

        objective = Objective(model, resolve_config(RunConfig(smart="smart")))
        terms = objective(batch, seed=step_seed(2018, step))
        terms.total.backward()
        ...  # optimizer update number `step`, counted from 1
        objective.after_update(step, total_steps)
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
                        f"divergence, which SMART needs. Set smart to off."
                    )

    def forward(
        self, batch: Batch, *, seed: int, progress: float = 0.0, measure_gain: bool = False
    ) -> LossTerms:
        """Compute the loss terms of a batch.

        Args:
            batch: on the device of the model. Without soft labels it has no distillation term.
            seed: determines all random numbers of the step: masked tokens, dropout and noise.
            progress: fraction of the run's updates that precede this one, used to anneal the weight
                of the distillation term.
            measure_gain: also compare the perturbation with random signs of the same norm.
        """
        kind = self.model.task_types[batch.task]
        # Place 2: a seed independent of those of dropout (seed) and noise (place 1).
        batch = kind.prepare(batch, step_seed(seed, 2))
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
        """Compute D_kd with the task's ``kd_loss``, which defaults to that of its type."""
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
        """Compute R_s; ``smoothness.dropout`` sets the dropout of the perturbed passes."""
        kind, name = self.model.task_types[batch.task], self.smoothness.divergence
        calls = 0

        def forward(perturbed: Tensor) -> Tensor:
            nonlocal calls
            calls += 1
            if self.smoothness.dropout == "off":
                with dropout_off(self.model):
                    return self.model.logits(perturbed, batch)
            # Shared: the dropout masks of the clean pass. Independent: new masks for every pass.
            pass_seed = seed if self.smoothness.dropout == "shared" else seed + calls
            with seeded_rng(pass_seed, perturbed.device):
                return self.model.logits(perturbed, batch)

        return smoothness_loss(
            forward,
            embeds,
            logits,
            lambda p, q: kind.divergence(p, q, batch, name=name),
            batch.attention_mask,
            self.smoothness,
            # Place 1: a seed independent of that of dropout (seed).
            torch.Generator(embeds.device).manual_seed(step_seed(seed, 1)),
            measure_gain=measure_gain,
        )

    def after_update(self, step: int, total_steps: int) -> None:
        """Update the proximal teacher; call after optimizer update ``step`` (from 1)."""
        if self.teacher is not None:
            self.teacher.update(step, total_steps)

    def distance(self) -> dict[str, Tensor]:
        """||theta - theta_tilde||_2 by tag; empty without a proximal term."""
        return {} if self.teacher is None else {"smart/distance": self.teacher.distance()}

    def teacher_state(self) -> dict[str, Tensor] | None:
        """State of the proximal teacher for a checkpoint; None without a proximal term."""
        return None if self.teacher is None else self.teacher.state_dict()

    def load_teacher_state(self, state: dict[str, Tensor] | None) -> None:
        """Restore the proximal teacher if both the run and the checkpoint have one."""
        if self.teacher is not None and state is not None:
            self.teacher.load_state_dict(state)

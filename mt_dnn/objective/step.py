"""Step, what a loss term may use of one batch."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Literal, Self

import torch
from torch import Tensor

from data_utils.collator import Batch
from mt_dnn.model import MTDNN
from mt_dnn.randomness import (
    RngState,
    dropout_off,
    preserved_rng,
    rng_state,
    seeded_rng,
    set_rng_state,
    step_seed,
)
from mt_dnn.task_types import TaskType

if TYPE_CHECKING:
    from mt_dnn.objective.terms import LossTerm

Dropout = Literal["shared", "independent", "off"]
"""Dropout of a further pass: the masks of the clean pass, new masks, or none."""


@dataclass(frozen=True)
class Step:
    """One batch after the clean forward pass, which all terms share.

    N is the number of sequences, T their length, E and H the sizes of embeddings and hidden states.
    Make one with :meth:`from_batch`; the objective does so for every batch.
    """

    model: MTDNN
    """The model itself, without a distributed wrapper."""
    batch: Batch
    """The batch as the model reads it: on the device, and masked if its task masks tokens."""
    embeds: Tensor
    """Word embeddings x, (N, T, E), with graph."""
    hidden: Tensor
    """Hidden states of the clean pass, (N, T, H), with graph."""
    logits: Tensor
    """Logits of the clean pass, with graph; their shape depends on the task type."""
    seed: int
    """Seed of the step; dropout of the clean pass draws from it."""
    progress: float
    """Fraction of the run's updates that precede this one; 0 at the first update."""
    measure: bool
    """Whether to compute figures that cost extra work; true once per task and log interval."""
    figures: dict[str, Tensor] = field(default_factory=dict)
    """Scalars to log by full tag, as :meth:`note` records them."""
    tag: str = "term"
    """Tag of the term that this step is for."""
    group: str = "term"
    """First part of the tags of that term's figures."""
    passes: Iterator[int] = field(default_factory=lambda: count(1), repr=False)
    """Numbers of the passes with independent dropout, from 1; all terms of a step share them."""
    wide: list[Tensor] = field(default_factory=list, repr=False)
    """The result of :meth:`wide_logits`, once it is computed."""
    head_rng: RngState | None = field(default=None, repr=False)
    """State of the global generators before the head of the clean pass."""

    @classmethod
    def from_batch(
        cls,
        model: MTDNN,
        batch: Batch,
        *,
        seed: int,
        progress: float = 0.0,
        measure: bool = False,
    ) -> Self:
        """Prepare a batch and run the clean forward pass, with the model's own dropout.

        Args:
            model: on its device.
            batch: on the same device.
            seed: determines all random numbers of the step.
            progress: see the field.
            measure: see the field.

        Example::

            step = Step.from_batch(model, batch, seed=1)
            value = SmoothnessTerm(model).compute(step)
        """
        # Place 2: a seed independent of those of dropout (seed) and of the terms.
        batch = model.task_types[batch.task].prepare(batch, step_seed(seed, 2))
        embeds = model.embed(batch)  # (N, T, E)
        with seeded_rng(seed, embeds.device):
            hidden = model.encode(embeds, batch)  # (N, T, H)
            state = rng_state(embeds.device)
            logits = model.head(batch)(hidden, batch)
        return cls(
            model=model,
            batch=batch,
            embeds=embeds,
            hidden=hidden,
            logits=logits,
            seed=seed,
            progress=progress,
            measure=measure,
            head_rng=state,
        )

    @property
    def task_type(self) -> TaskType:
        """The task type of the batch; ``task_type.task`` is its TaskDef."""
        return self.model.task_types[self.batch.task]

    def of(self, term: LossTerm) -> Self:
        """Return this step for ``term``, which gives :meth:`note` and :meth:`generator` its tag."""
        return dataclasses.replace(self, tag=term.tag, group=term.group or term.tag)

    def forward(
        self, embeds: Tensor, *, dropout: Dropout = "shared", shift: Tensor | None = None
    ) -> Tensor:
        """Compute logits from word embeddings (N, T, E), by another pass through the model.

        Args:
            embeds: for instance ``step.embeds + delta``.
            dropout: ``shared`` uses the masks of the clean pass, so that equal embeddings give equal
                logits; ``independent`` draws new masks for each pass; ``off`` uses none.
            shift: (N, T, H), added to what enters the first layer, after the dropout of the
                embedding block; see :meth:`mt_dnn.encoders.encoder.Encoder.encode`.
        """
        if dropout == "off":
            with dropout_off(self.model):
                return self.model.logits(embeds, self.batch, shift=shift)
        seed = self.seed if dropout == "shared" else self.seed + next(self.passes)
        with seeded_rng(seed, embeds.device):
            return self.model.logits(embeds, self.batch, shift=shift)

    def wide_logits(self) -> Tensor:
        """Compute the clean logits in float32 or wider under autocast, with graph.

        This is another pass, with the masks of the clean one. All terms of a step share it.
        """
        if not self.wide:
            with torch.autocast(self.embeds.device.type, enabled=False):
                dtype = torch.promote_types(self.embeds.dtype, torch.float32)
                self.wide.append(self.forward(self.embeds.to(dtype)))
        return self.wide[0]

    def head(self, hidden: Tensor, *, dropout: Dropout = "shared") -> Tensor:
        """Compute logits from hidden states (N, T, H), by another pass through the task's head.

        Args:
            hidden: for instance ``step.hidden + delta``.
            dropout: as in :meth:`forward`.
        """
        head = self.model.head(self.batch)
        if dropout == "off":
            with dropout_off(head):
                return head(hidden, self.batch)
        if dropout == "independent":
            with seeded_rng(self.seed + next(self.passes), hidden.device):
                return head(hidden, self.batch)
        with preserved_rng(hidden.device):
            if self.head_rng is not None:
                set_rng_state(self.head_rng, hidden.device)
            return head(hidden, self.batch)

    def divergence(self, p_logits: Tensor, q_logits: Tensor, *, name: str | None = None) -> Tensor:
        """Compute l_s between two predictions of the batch: a scalar, the mean over examples.

        Args:
            p_logits: logits of the first prediction.
            q_logits: logits of the second prediction.
            name: a registered divergence; defaults to the task's. The task type chooses its form
                for its output: :meth:`mt_dnn.task_types.TaskType.divergence_name`. Check at
                construction that every task has a divergence, with :func:`check_divergences`.
        """
        return self.task_type.divergence(p_logits, q_logits, self.batch, name=name)

    def generator(self, place: int | None = None) -> torch.Generator:
        """Create a generator on the device whose seed depends on the step and the term alone.

        Args:
            place: distinguishes the generators of one step; defaults to a number made of the term's
                tag. Equal places give equal generators. The masking of tokens uses 2, the noise of R_s 1.
        """
        place = zlib.crc32(self.tag.encode()) if place is None else place
        return torch.Generator(self.embeds.device).manual_seed(step_seed(self.seed, place))

    def note(self, figure: str, value: Tensor | float) -> None:
        """Record a scalar to log as ``<group>/<task>/<figure>``, without its graph.

        The mean over the batches of a log interval is logged. Leave the value on the device: reading it
        would wait for the device in every update.
        """
        value = torch.as_tensor(value, device=self.embeds.device).detach()
        self.figures[f"{self.group}/{self.batch.task}/{figure}"] = value

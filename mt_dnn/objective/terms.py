"""LossTerm, the base class of loss terms, and Step, what a term may use of one batch."""

from __future__ import annotations

import dataclasses
import math
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Literal, Self

import torch
from torch import Tensor, nn

from data_utils.collator import Batch
from data_utils.errors import UserError
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


class LossTerm(nn.Module, ABC):
    """One term of the training loss, logged as ``train/<task>/<tag>``.

    A subclass defines ``tag`` and :meth:`compute`. Parameters of the term are trained together with the
    model; parameters and buffers are saved in checkpoints. Their state must consist of tensors. Create a
    term after the model is on its device and its frozen parameters are frozen. Do not keep the model as
    an attribute, because it would become a part of the term: use ``step.model``.

    Under ``torchrun`` every process computes the term on its own part of the batch. Gradients are
    averaged, and buffers are copied from the first process before every forward pass.

    Example: a penalty on the distance from the starting weights, L2-SP (Li et al. 2018, arXiv
    1802.01483, section 3)::

        class StartingPoint(LossTerm):
            tag = "l2_sp"

            def __init__(self, model):
                super().__init__()
                parameters = model.encoder.named_parameters()
                self.start = {n: p.detach().clone() for n, p in parameters if p.requires_grad}

            def compute(self, step):
                parameters = dict(step.model.encoder.named_parameters())
                squares = [(parameters[n] - s).square().sum() for n, s in self.start.items()]
                return torch.stack(squares).sum() / 2

        terms = [*build_terms(model, config), StartingPoint(model).weighted(0.01)]
        objective = Objective(model, terms)
    """

    tag: str
    """Name of the term within an objective: letters, digits, ``_`` and ``-``."""
    group: str = ""
    """First part of the tags of its figures; if empty, ``tag``."""
    rho_figure: str = ""
    """Name of the figure of rho, the size of the term's gradient (mt_dnn/objective/balance.py); if empty,
    rho is not measured."""

    def __init__(self, model: MTDNN | None = None) -> None:
        """Create the term.

        Args:
            model: not used here. A term that a configuration names is created with the model, so that
                a subclass can read its weights, and with its options as keyword arguments.
        """
        super().__init__()
        self.base_weight = 1.0
        self.task_weights: dict[str, float] = {}

    @abstractmethod
    def compute(self, step: Step) -> Tensor | None:
        """Compute the term without its weight: a scalar, or None if the batch has no such term.

        Under ``torchrun`` all processes must return None for the same batches, and note the same
        figures: decide by the task, not by the rows. Random numbers from torch's global generators
        are a function of the step's seed too.
        """

    def weight(self, step: Step) -> float | Tensor:
        """Return the weight of the term for this batch.

        By default the weight of the batch's task, or else of the term, as :meth:`weighted` sets them. An
        override may use ``step.progress`` or return a learnt tensor. With a float 0 the term is not
        computed.
        """
        return self.task_weights.get(step.batch.task, self.base_weight)

    def weighted(self, weight: float, tasks: Mapping[str, float] | None = None) -> Self:
        """Set the weight, and the weights of single tasks; return the term.

        Args:
            weight: for all tasks that ``tasks`` does not name.
            tasks: task -> weight.

        Raises:
            UserError: a weight is not finite.
        """
        for name, value in {"weight": weight, **(tasks or {})}.items():
            if not math.isfinite(value):
                raise UserError(f"loss term {self.tag}: {name}: {value}; use a finite number")
        self.base_weight, self.task_weights = weight, dict(tasks or {})
        return self

    def after_rho(self, step: Step, rho: Tensor) -> None:
        """Do what follows a measurement of rho; the weight may follow it.

        Args:
            step: the step that was measured, after its weights were read.
            rho: a scalar on the device, equal on all processes.
        """

    def after_update(self, update: int, total: int) -> None:
        """Do what follows each optimizer update.

        Args:
            update: number of the update, counted from 1. Updates that fp16 skips do not count.
            total: number of updates of the run.
        """

    def setup(self) -> dict[str, str]:
        """Return what the run prints of the term in the summary at its start: title -> text."""
        return {}

    def notes(self) -> list[str]:
        """Return what the run prints as notes after that summary, one line each."""
        return []

    def figures(self) -> dict[str, Tensor]:
        """Compute scalars by full tag; called at log points only."""
        return {}


def check_divergences(model: MTDNN, term: str, advice: str) -> None:
    """Check that every task type of the model defines a divergence.

    Args:
        model: the model to train.
        term: name of what needs the divergence, for the message.
        advice: last sentence of the message, what to do.

    Raises:
        UserError: names the first task whose type has none.
    """
    for kind in model.task_types.values():
        if getattr(kind, "divergence", None) is None:
            raise UserError(
                f"{kind.task.where}: task_type {kind.task.task_type} defines no divergence, which "
                f"{term} needs. {advice}"
            )


def check_term(name: str, build: Callable[..., LossTerm]) -> Callable[..., LossTerm]:
    """Return a registered loss term, a class or a function that builds one.

    Raises:
        TypeError: a class does not derive from LossTerm, or lacks ``tag`` or ``compute``.
    """
    if not isinstance(build, type):
        return build
    if not issubclass(build, LossTerm):
        raise TypeError(f"loss term {name!r}: {build.__name__} does not derive from LossTerm")
    missing = sorted(build.__abstractmethods__)
    if not isinstance(getattr(build, "tag", None), str):
        missing.append("tag")
    if missing:
        raise TypeError(
            f"loss term {name!r}: {build.__name__} does not define {', '.join(missing)}"
        )
    return build

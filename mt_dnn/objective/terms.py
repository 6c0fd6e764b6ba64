"""LossTerm, the base class of loss terms."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Self

from torch import Tensor, nn

from data_utils.errors import UserError
from mt_dnn.model import MTDNN
from mt_dnn.objective.step import Step


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

    def before_training(self) -> None:
        """Do what needs the weights from which training starts; called once, before a checkpoint is restored.

        A term is created before the training rows are read. The heads of some task types, such as
        Regression, are then started at the training labels: a term that keeps a copy of a head's weights
        makes it here.
        """

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

"""TaskType, the base class of task types."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections import Counter
from typing import Any, ClassVar

import numpy as np
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from data_utils.collator import Batch
from data_utils.labels import LabelSpec
from data_utils.metrics.outcome import Outcome, check_metrics
from data_utils.registries import FORMATS
from data_utils.task_def import TaskDef
from mt_dnn.config.run import ModelConfig
from mt_dnn.divergences import Output, form_of, outputs_of
from mt_dnn.encoders.encoder import Encoder
from mt_dnn.heads.pooled import ACTIVATIONS, POOLINGS
from mt_dnn.heads.san import SAN_OPTIONS, check_san_options
from mt_dnn.heads.scalar_mix import LAYERS
from mt_dnn.registries import DIVERGENCES
from mt_dnn.task_types.checks import (
    check_choice,
    check_format,
    check_pair_settings,
    check_windows,
    checked_divergence,
    complete_options,
)
from mt_dnn.task_types.prediction import Prediction


class TaskType(ABC):
    """Defines the head, loss, divergence and decoding of a type of task.

    There is one instance per task. A subclass must define ``label``, :meth:`build_head`, :meth:`loss`,
    :meth:`divergence` and :meth:`decode`. A type without a divergence sets ``divergence = None``; its
    tasks cannot be trained with SMART.
    """

    label: ClassVar[LabelSpec]
    """The label that this type requires. The type fits all data formats that support it."""
    options: ClassVar[dict[str, Any]] = {}
    """Options that a task may set under ``options``, with their defaults."""
    has_candidates: ClassVar[bool] = False
    """Whether an example has several sequences, one for each candidate, as in the data format."""
    takes_san: ClassVar[bool] = False
    """Whether a task may set ``enable_san``."""
    losses: ClassVar[tuple[str, ...]] = ()
    """Accepted values of ``loss``, from MT-DNN's task files. They have no effect."""
    output: ClassVar[Output] = Output.CLASSES
    """What the logits describe. It decides which divergences fit this type."""
    default_divergence: ClassVar[str] = "symmetric_kl"
    """Divergence of tasks that set no ``adv_loss``."""
    kd_loss: ClassVar[str | None] = None
    """Default divergence from a teacher; None if this type does not support distillation."""
    has_fixed_shape: ClassVar[bool] = False
    """Whether all examples have logits of the same shape, (C,), which can be stacked and merged."""
    can_average: ClassVar[bool] = True
    """Whether the mean of several models' logits is a valid output of this type."""
    picture: ClassVar[str | None] = None
    """Figure that evaluation draws: ``confusion``, ``scatter`` or None."""
    auto_model: ClassVar[str | None] = None
    """Auto class of transformers with the same head and output; None if there is none."""
    problem_type: ClassVar[str | None] = None
    """``problem_type`` of transformers, if ``auto_model`` is for sequence classification."""

    def __init__(self, task: TaskDef, tokenizer: PreTrainedTokenizerBase | None = None) -> None:
        """Create the type for one task.

        Args:
            task: the task.
            tokenizer: the encoder's tokenizer, for types that generate text or mask tokens.
        """
        self.task = task
        self.tokenizer = tokenizer

    @classmethod
    def check(cls, task: TaskDef) -> TaskDef:
        """Check a definition and complete it.

        Returns:
            A copy with registered names in place of aliases, all options, and ``label``.

        Raises:
            UserError: data format, n_class, labels, loss, divergence, a metric or an option do not fit
                this type.
        """
        check_format(task, cls)
        check_pair_settings(task, cls)
        check_windows(task, cls)
        check_choice(task, "loss", task.loss, cls.losses)
        check_choice(task, "actf", task.activation, (*ACTIVATIONS, "none"))
        check_choice(task, "pooling", task.pooling, POOLINGS)
        check_choice(task, "layers", task.layers, LAYERS)
        defaults = FORMATS.get(task.data_format).options | cls.options
        options = complete_options(task, defaults | (SAN_OPTIONS if task.enable_san else {}))
        if task.enable_san:
            check_san_options(dataclasses.replace(task, options=options))
        task = dataclasses.replace(
            task,
            label=cls.label,
            options=options,
            kd_loss=checked_divergence(task, "kd_loss", task.kd_loss, cls),
            adv_loss=checked_divergence(task, "adv_loss", task.adv_loss, cls),
        )
        check_metrics(task, cls.outcome(task))
        return task

    @classmethod
    def outcome(cls, task: TaskDef) -> Outcome | None:
        """Return what this type predicts for a task, which decides the metrics that fit.

        None, the default, fits every metric.
        """
        return None

    @abstractmethod
    def build_head(self, encoder: Encoder, config: ModelConfig) -> nn.Module:
        """Build the head, a module with ``head(hidden (N, T, H), batch) -> logits``.

        The docstring of the type's module gives the shape of the logits.
        """

    def start_head(self, head: nn.Module, labels: np.ndarray) -> None:  # noqa: B027
        """Fit a new head to the training labels, in place; by default nothing is done.

        It must leave a trained head as it is: the caller does not know which heads are new.

        Args:
            head: a module from :meth:`build_head`.
            labels: (N,), the labels of all tasks that share the head.
        """

    @abstractmethod
    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        """Compute the supervised loss: a float32 scalar, the mean over labelled units."""

    @abstractmethod
    def divergence(
        self, p_logits: Tensor, q_logits: Tensor, batch: Batch, *, name: str | None = None
    ) -> Tensor:
        """Compute SMART's l_s between two predictions: a float32 scalar.

        It is summed over the distribution and averaged over examples.

        Args:
            p_logits: logits of the first prediction.
            q_logits: logits of the second prediction.
            batch: the batch that both predict.
            name: a divergence to use instead of the task's; :meth:`divergence_name` chooses its
                form for this type.
        """

    def units(self, batch: Batch) -> int | Tensor:
        """Return the number of units that :meth:`divergence` averages over.

        The units are examples, labelled words or windows: ``divergence * units`` is the sum of l_s over
        them. By default they are the examples of the batch; a type with another mean overrides this.
        A scalar tensor stays on the device.
        """
        return len(batch)

    def loss_units(self, batch: Batch) -> int | Tensor:
        """Return the denominator of the mean in :meth:`loss`, by default :meth:`units`.

        Parts of a batch, on several processes or in several micro-batches, weigh by it in the loss of
        an update. A type that overrides :meth:`loss` with another mean overrides this.
        """
        return self.units(batch)

    @abstractmethod
    def decode(self, logits: Tensor, batch: Batch) -> list[Prediction]:
        """Return one prediction per example; ``logits`` and ``batch`` are on the CPU."""

    def prepare(self, batch: Batch, seed: int) -> Batch:
        """Transform a batch before the model reads it; must be a function of batch and seed."""
        return batch

    def infer(self, head: nn.Module, hidden: Tensor, batch: Batch) -> Tensor:
        """Compute the logits for :meth:`decode` without using the labels."""
        return head(hidden, batch)

    def soft_logits(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return the teacher's logits, ``batch.soft_labels``, in the shape of ``logits``."""
        assert batch.soft_labels is not None
        return batch.soft_labels

    def merge(self, windows: list[Prediction]) -> Prediction:
        """Combine the predictions of a row's windows, in order. By default there is only one."""
        (only,) = windows
        return only

    def unpadded(self, logits: Tensor, batch: Batch) -> list[Tensor]:
        """Return the logits of each example without padding; both arguments are on the CPU."""
        return list(logits)

    def one_against_rest(
        self, predictions: list[Prediction]
    ) -> dict[str, tuple[list[bool], list[float]]]:
        """Return labels and probabilities of single classes, for precision-recall curves.

        By default there are none. Types of classes have the second class where there are two, and each
        class where there are few.

        Args:
            predictions: of labelled examples.

        Returns:
            Class -> for each example, candidate or word whether it is of the class, and its
            probability.
        """
        return {}

    def guess(self, gold: list[Any]) -> list[Any]:
        """Return the best constant prediction for a data set, given its gold labels.

        It is the most frequent label. Examples with several candidates or words get it for each.
        """
        lists = isinstance(gold[0], list)
        flat = [label for row in gold for label in row] if lists else gold
        common = Counter(flat).most_common(1)[0][0]
        return [[common] * len(row) for row in gold] if lists else [common] * len(gold)

    def in_words(self, value: Any) -> Any:
        """Convert a prediction's value or gold label from class ids to label words."""
        return self.task.decode_label(value)

    def details(self) -> tuple[str, ...]:
        """Return the names of the details that fit the predictions; by default none.

        They are ``classes``, ``words`` (entities, or else classes of words), ``confusion``,
        ``calibration``, ``ranges`` and ``answers``: see mt_dnn/inference/details.
        """
        return ()

    def confidence(self, value: Any, scores: Any) -> float | list[float] | None:
        """Return the probability of a prediction, from its ``value`` and ``scores``.

        A list or a set has the probability of each of its decisions. None, the default, means that the
        type has no probabilities.
        """
        return None

    def named_scores(self, scores: Any) -> Any:
        """Return a prediction's scores, as a dict by label word if they are class scores."""
        return scores

    def divergence_name(self, name: str | None) -> str:
        """Return the divergence that this task uses where a run names ``name``.

        It is ``name`` itself if it fits the output of this type, else its form for that output
        (``bernoulli_js`` for ``js`` and independent labels), else the task's own divergence or the
        default of the type. A run prints the tasks of the last case at its start.

        Raises:
            UserError: no divergence has this name.
        """
        return self.form_of_divergence(name) or self.task.adv_loss or self.default_divergence

    @classmethod
    def form_of_divergence(cls, name: str | None) -> str | None:
        """Return ``name`` or its form for this type's output; None if there is no such form.

        Raises:
            UserError: no divergence has this name.
        """
        if name is None:
            return None
        name = DIVERGENCES.canonical(name)
        fitting = cls.divergences()
        if name in fitting:
            return name
        base = form_of(DIVERGENCES.get(name)) or name
        forms = [n for n in fitting if base in (n, form_of(DIVERGENCES.get(n)))]
        return forms[0] if forms else None

    @classmethod
    def divergences(cls) -> list[str]:
        """Return the names of the divergences that fit this type's output, the default first."""
        fitting = [n for n in DIVERGENCES.names() if cls.output in outputs_of(DIVERGENCES.get(n))]
        return sorted(fitting, key=lambda name: name != cls.default_divergence)


def check_type(name: str, entry: type[TaskType]) -> type[TaskType]:
    """Return a registered class.

    Raises:
        TypeError: the class does not derive from TaskType, or lacks a required part.
    """
    if not (isinstance(entry, type) and issubclass(entry, TaskType)):
        raise TypeError(f"task_type {name!r}: {entry!r} does not derive from TaskType")
    missing = sorted(entry.__abstractmethods__)
    if not isinstance(getattr(entry, "label", None), LabelSpec):
        missing.append("label")
    if missing:
        raise TypeError(
            f"task_type {name!r}: {entry.__name__} does not define {', '.join(missing)}"
        )
    return entry

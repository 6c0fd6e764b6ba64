"""The base class of task types, and the checks that they share."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from data_utils.collator import Batch
from data_utils.errors import UserError
from data_utils.formats import FORMATS
from data_utils.labels import LabelSpec
from data_utils.registry import Registry, choices_hint
from data_utils.task_def import TaskDef
from mt_dnn.config.run import ModelConfig
from mt_dnn.divergences import DIVERGENCES
from mt_dnn.encoders.encoder import Encoder
from mt_dnn.heads.pooled import ACTIVATIONS, POOLINGS


@dataclass
class Prediction:
    """What the model says of one example."""

    uid: str
    value: Any
    """Class id, number, text, set of class ids, or a list: one entry per candidate or word."""
    scores: Any
    """What the value was chosen by, such as the probabilities of the classes; a metric may need it."""
    gold: Any = None
    """The label in the form of ``value``, or all accepted texts; None where the row had none."""


class TaskType(ABC):
    """How hidden states become a loss, a divergence and a prediction; one instance per task.

    A type must define ``label``, :meth:`build_head`, :meth:`loss`, :meth:`divergence` and
    :meth:`decode`. A type without a divergence sets ``divergence = None``: SMART refuses its tasks.
    """

    label: ClassVar[LabelSpec]
    """The label that this type needs; it takes the data formats whose rows can hold it."""
    options: ClassVar[dict[str, Any]] = {}
    """Settings that a task may give under ``options``, with their defaults."""
    takes_san: ClassVar[bool] = False
    """Whether a task may set ``enable_san``."""
    losses: ClassVar[tuple[str, ...]] = ()
    """MT-DNN's names of this type's supervised loss: accepted, and all the same loss."""
    divergences: ClassVar[tuple[str, ...]] = (
        *("symmetric_kl", "kl", "js", "hellinger"),
        "squared_error",  # of the logits: MT-DNN's task files distil with it
    )
    """Names in DIVERGENCES that this type's output allows; the first is the default."""
    kd_loss: ClassVar[str | None] = None
    """The divergence from a teacher where a task names none; None: no distillation for this type."""
    has_fixed_shape: ClassVar[bool] = False
    """Whether every example has logits of one shape, (C,), so that those of a data set stack."""
    can_average: ClassVar[bool] = True
    """Whether the mean of several models' logits is a valid output of this type."""
    picture: ClassVar[str | None] = None
    """The figure that evaluation draws: ``confusion``, ``scatter`` or None."""
    auto_model: ClassVar[str | None] = None
    """The auto class of transformers with the same head and output; None where there is none."""
    problem_type: ClassVar[str | None] = None
    """transformers' ``problem_type``, where ``auto_model`` classifies sequences."""

    def __init__(self, task: TaskDef, tokenizer: PreTrainedTokenizerBase | None = None) -> None:
        """``tokenizer``: the encoder's, for types that write text or hide tokens."""
        self.task = task
        self.tokenizer = tokenizer

    @classmethod
    def check(cls, task: TaskDef) -> TaskDef:
        """The definition with names in their correct form, options complete and ``label`` set.

        Raises:
            UserError: data format, n_class, labels, loss or divergence do not fit this type.
        """
        _check_label(task, cls.label)
        if task.enable_san and not cls.takes_san:
            able = [name for name in TASK_TYPES.names() if TASK_TYPES.get(name).takes_san]
            raise UserError(
                f"{task.where}: enable_san: task_type {task.task_type} has no SAN head; these have: "
                f"{', '.join(able)}"
            )
        _choose(task, "loss", task.loss, cls.losses)
        _choose(task, "actf", task.activation, (*ACTIVATIONS, "none"))
        _choose(task, "pooling", task.pooling, POOLINGS)
        return dataclasses.replace(
            task,
            label=cls.label,
            options=_options(task, FORMATS.get(task.data_format).options | cls.options),
            kd_loss=cls._divergence(task, "kd_loss", task.kd_loss),
            adv_loss=cls._divergence(task, "adv_loss", task.adv_loss),
        )

    @abstractmethod
    def build_head(self, encoder: Encoder, config: ModelConfig) -> nn.Module:
        """A module: ``head(hidden (N, T, H), batch) -> logits`` of the shape the type states."""

    @abstractmethod
    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        """Scalar: the supervised loss, mean over what is labelled, in float32."""

    @abstractmethod
    def divergence(
        self, p_logits: Tensor, q_logits: Tensor, batch: Batch, *, name: str | None = None
    ) -> Tensor:
        """Scalar: l_s of SMART; sum over the distribution, mean over examples, in float32.

        ``name`` asks for another divergence than the task's; a type that does not allow it keeps
        its own, so that one run can ask for Jensen-Shannon and train a regression task too.
        """

    @abstractmethod
    def decode(self, logits: Tensor, batch: Batch) -> list[Prediction]:
        """One prediction per example of the batch; ``logits`` and ``batch`` are on the CPU."""

    def prepare(self, batch: Batch, seed: int) -> Batch:
        """The batch as the model reads it; all randomness is a function of ``seed``."""
        return batch

    def infer(self, head: nn.Module, hidden: Tensor, batch: Batch) -> Tensor:
        """Logits for :meth:`decode`, computed without the labels."""
        return head(hidden, batch)

    def soft_logits(self, logits: Tensor, batch: Batch) -> Tensor:
        """The teacher's logits, ``batch.soft_labels``, in the shape of the student's ``logits``."""
        assert batch.soft_labels is not None
        return batch.soft_labels

    def merge(self, windows: list[Prediction]) -> Prediction:
        """The prediction of a row from those of its windows, in order; by default there is one."""
        (only,) = windows
        return only

    def unpadded(self, logits: Tensor, batch: Batch) -> list[Tensor]:
        """Each example's own part of the logits; both on the CPU."""
        return list(logits)

    def guess(self, gold: list[Any]) -> list[Any]:
        """The best constant prediction of a data set, given all its gold labels.

        The most frequent label; for each candidate or word where an example has several.
        """
        lists = isinstance(gold[0], list)
        flat = [label for row in gold for label in row] if lists else gold
        common = Counter(flat).most_common(1)[0][0]
        return [[common] * len(row) for row in gold] if lists else [common] * len(gold)

    def in_words(self, value: Any) -> Any:
        """A prediction's value or gold label, with label words in place of class ids."""
        return self.task.decode_label(value)

    def named_scores(self, scores: Any) -> Any:
        """A prediction's scores by label word, where they are those of classes."""
        return scores

    def divergence_name(self, name: str | None) -> str:
        """``name`` where this type allows it, else the task's, else the type's default."""
        if name in self.divergences:
            return str(name)
        return self.task.adv_loss or self.divergences[0]

    @classmethod
    def _divergence(cls, task: TaskDef, key: str, given: str | None) -> str | None:
        """The divergence's own name for the task file's."""
        if given is None:
            return None
        if given not in DIVERGENCES:
            raise UserError(
                f"{task.where}: {key}: unknown divergence {given!r}."
                f"{choices_hint(given, cls.divergences)}"
            )
        name = DIVERGENCES.canonical(given)
        _choose(task, key, name, cls.divergences)
        return name


def _check_type(name: str, entry: type[TaskType]) -> None:
    """Raises TypeError where a class does not derive from TaskType or leaves a part undefined."""
    if not (isinstance(entry, type) and issubclass(entry, TaskType)):
        raise TypeError(f"task_type {name!r}: {entry!r} does not derive from TaskType")
    missing = sorted(entry.__abstractmethods__)
    if not isinstance(getattr(entry, "label", None), LabelSpec):
        missing.append("label")
    if missing:
        raise TypeError(
            f"task_type {name!r}: {entry.__name__} does not define {', '.join(missing)}"
        )


TASK_TYPES: Registry[type[TaskType]] = Registry("task_type", check=_check_type)


def _check_label(task: TaskDef, needed: LabelSpec) -> None:
    """Raises UserError where the rows of the task's format cannot hold the label of its type."""
    held = FORMATS.get(task.data_format).labels
    if needed in held:
        return
    formats = [name for name in FORMATS.names() if needed in FORMATS.get(name).labels]
    types = [name for name in TASK_TYPES.names() if TASK_TYPES.get(name).label in held]
    raise UserError(
        f"{task.where}: data_format: {task.data_format!r} does not fit task_type {task.task_type}: "
        f"its rows hold {' or '.join(map(str, held))}, and {task.task_type} needs {needed}."
        f"{choices_hint(task.data_format, formats)} "
        f"Task types for {task.data_format}: {', '.join(types) or 'none'}."
    )


def _options(task: TaskDef, defaults: dict[str, Any]) -> dict[str, Any]:
    """All options with the defaults filled in.

    Raises:
        UserError: an unknown name, or a value of another type than the default's.
    """
    for name, value in task.options.items():
        where = f"{task.where}: options: {name}"
        if name not in defaults:
            raise UserError(
                f"{where}: {task.task_type} on {task.data_format} has no such option."
                f"{choices_hint(name, defaults) if defaults else ' It has none.'}"
            )
        wanted = type(defaults[name])
        is_number = wanted is float and type(value) is int
        if type(value) is not wanted and not is_number:
            raise UserError(f"{where}: {value!r} is not a {wanted.__name__}")
    return defaults | task.options


def _choose(task: TaskDef, key: str, given: str | None, choices: Iterable[str]) -> None:
    if given is not None and given not in choices:
        raise UserError(
            f"{task.where}: {key}: {given!r} does not fit task_type {task.task_type}."
            f"{choices_hint(given, choices)}"
        )


def check_class_count(task: TaskDef, at_least: int) -> None:
    """n_class as big as the type needs, and equal to the number of labels where they are given."""
    if not task.n_class:
        raise UserError(f"{task.where}: {task.task_type} needs labels, or n_class")
    if task.n_class < at_least:
        raise UserError(
            f"{task.where}: n_class: {task.n_class}; {task.task_type} needs at least {at_least}"
        )
    if task.labels and len(task.labels) != task.n_class:
        raise UserError(
            f"{task.where}: n_class: {task.n_class} but {len(task.labels)} labels: "
            f"{', '.join(task.labels)}"
        )

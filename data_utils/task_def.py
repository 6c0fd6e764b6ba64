"""The definition of one task: data, not code."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from data_utils.errors import UserError
from data_utils.labels import CLASS_PER_EXAMPLE, LabelSpec
from data_utils.registry import choices_hint

ROLES = ("train", "dev", "test")


@dataclass(frozen=True)
class SourceDef:
    """Where a task's rows come from when not from ``{data_dir}/{task}_{split}.tsv``.

    Give ``hub`` (a Hugging Face dataset name, or a folder of data files or of
    ``save_to_disk``) or ``files`` (split -> path of a .tsv or .jsonl file).
    """

    hub: str | None = None
    config: str | None = None
    """Configuration of the hub dataset, such as ``rte`` of ``glue``."""
    revision: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    """Our column name -> theirs: ``{premise: sentence1}``."""
    splits: dict[str, str] = field(default_factory=dict)
    """Our split name -> theirs: ``{dev: validation}``."""
    files: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TaskDef:
    """One entry of a task file. The YAML key is in brackets where it differs."""

    name: str
    data_format: str
    task_type: str
    n_class: int
    """Size of the head's output; 1 for a number; 0 where the file gives none."""
    metrics: tuple[str, ...]
    """Names in :data:`data_utils.metrics.METRICS` [metric_meta]."""
    metric_for_best: str
    """The one of ``metrics`` that selects the best model; defaults to the first that is a number."""
    labels: tuple[str, ...] = ()
    """Label words; the position is the id. Empty: rows carry integers, or numbers if n_class is 1."""
    loss: str | None = None
    """Legacy name of the supervised loss; checked by the task type, which has exactly one."""
    kd_loss: str | None = None
    """Divergence for distillation; None takes the task type's own."""
    adv_loss: str | None = None
    """Divergence for SMART; None takes the task type's own."""
    enable_san: bool = False
    dropout: float | None = None
    """Before the output layer; None takes the run's [dropout_p]."""
    activation: str | None = None
    """Of the pooler; None takes the run's [actf]."""
    pooling: str | None = None
    """None takes the run's."""
    split_names: tuple[str, ...] = ROLES
    """``dev`` or ``matched_dev``: the part after the last underscore is the role."""
    max_seq_len: int | None = None
    """None takes the run's."""
    weight: float = 1.0
    """Factor of this task's loss."""
    head: str | None = None
    """Name of a head to share with the tasks that name the same; None: the task's own."""
    options: dict[str, Any] = field(default_factory=dict)
    """Settings of the data format and the task type, by the names that those declare."""
    source: SourceDef | None = None
    label: LabelSpec = CLASS_PER_EXAMPLE
    """The label that the task type needs; load_tasks sets it, a task file cannot."""
    where: str = ""
    """File and line of the entry, for error messages."""

    @property
    def head_name(self) -> str:
        return self.head or self.name

    @property
    def label_is_number(self) -> bool:
        return not self.labels and self.n_class == 1

    def encode_label(self, label: str | int | float) -> int | float:
        """The id of a label word, or the number itself where labels are numbers.

        Raises:
            UserError: not one of the task's labels; lists them.
        """
        text = str(label).strip()
        if self.labels:
            return self.labels.index(self.checked_word(text))
        if self.label_is_number:
            try:
                number = float(text)
            except ValueError:
                number = math.nan
            if not math.isfinite(number):
                raise UserError(f"label {text!r} of task {self.name!r} is not a number")
            return number
        try:
            index = int(text)
        except ValueError:
            raise UserError(
                f"label {text!r} of task {self.name!r} is not an integer; "
                f"for label words give `labels: [...]` in the task file"
            ) from None
        if not 0 <= index < self.n_class:
            raise UserError(
                f"label {index} of task {self.name!r} is outside 0..{self.n_class - 1} "
                f"(n_class: {self.n_class})"
            )
        return index

    def checked_word(self, text: str) -> str:
        """The text, if it is a label word or the task has none.

        Raises:
            UserError: not one of the task's labels; lists them.
        """
        if self.labels and text not in self.labels:
            raise UserError(
                f"label {text!r} is not a label of task {self.name!r}."
                f"{choices_hint(text, self.labels)}"
            )
        return text

    def decode_label(self, value: Any) -> Any:
        """The label word of an id, of each id in a list or set; a number is unchanged."""
        if isinstance(value, set):
            value = sorted(value)
        if isinstance(value, list):
            return [self.decode_label(item) for item in value]
        return self.labels[value] if self.labels else value

    def splits(self, role: str) -> list[str]:
        """The split names that play ``role``, one of train, dev, test."""
        return [split for split in self.split_names if split_role(split) == role]


def split_role(split: str) -> str:
    """``matched_dev`` -> ``dev``."""
    return split.rsplit("_", 1)[-1]


def dataset_name(task: str, split: str) -> str:
    """The name of a split in scores: ``rte`` for its dev split, ``mnli_matched``, ``rte_test``."""
    return f"{task}_{split}".removesuffix("_dev")


def pick_tasks(
    tasks: Mapping[str, TaskDef], names: Iterable[str], *, where: str
) -> dict[str, TaskDef]:
    """Select tasks by name, in the order of ``names``; no names select all tasks.

    Args:
        where: the setting and the task file, for the message.

    Raises:
        UserError: there is no task of a name.
    """
    names = list(names)
    for name in names:
        if name not in tasks:
            raise UserError(f"{where} has no task {name!r}.{choices_hint(name, tasks)}")
    return {name: tasks[name] for name in names or tasks}

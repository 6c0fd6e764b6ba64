"""TaskDef, the definition of one task, and names of its splits."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from data_utils.errors import UserError
from data_utils.labels import CLASS_PER_EXAMPLE, LabelSpec
from data_utils.registry import choices_hint

Entry = TypeVar("Entry")

ROLES = ("train", "dev", "test")
MAX_LABEL = 1e18
"""Greatest absolute value of a label that is a number."""
_INTEGER = re.compile(r"[+-]?[0-9]+")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
"""A label that is a number."""


@dataclass(frozen=True)
class SourceDef:
    """The source of a task's rows, if it is not ``{data_dir}/{task}_{split}.tsv``.

    Set either ``hub`` or ``files``.
    """

    hub: str | None = None
    """Name of a Hugging Face dataset, a folder of data files, or a folder of ``save_to_disk``."""
    config: str | None = None
    """Configuration of the hub dataset, such as ``rte`` of ``glue``."""
    revision: str | None = None
    """Git revision of the hub dataset."""
    columns: dict[str, str] = field(default_factory=dict)
    """Our column name -> theirs: ``{premise: sentence1}``; for CoNLL columns their number, from 1."""
    splits: dict[str, str] = field(default_factory=dict)
    """Our split name -> theirs: ``{dev: validation}``."""
    files: dict[str, str] = field(default_factory=dict)
    """Split -> path of a .csv, .tsv, .jsonl or CoNLL file, relative to the data folder."""
    header: bool | None = None
    """Whether the first line of a .tsv file names its columns, as that of a .csv file always does."""
    delimiter: str | None = None
    """Character between the cells of a file with a header; defaults to a comma, and a tab for .tsv."""
    quoting: bool | None = None
    """Whether double quotes enclose cells of a file with a header; defaults to true for .csv only."""


@dataclass(frozen=True)
class Windows:
    """How a text that is too long for one sequence is cut into overlapping windows.

    The example then has one sequence for each window, and its logits are those of its windows, merged.
    """

    stride: int = 32
    """Tokens by which two neighbouring windows overlap, at most half of a window."""
    merge: str = "mean"
    """Name in :data:`mt_dnn.registries.MERGES`: how the logits of the windows become those of the example."""
    max_windows: int | None = None
    """Greatest number of windows of an example; the rest of its text is cut off. None: no limit."""


@dataclass(frozen=True)
class TaskDef:
    """One entry of a task file.

    A YAML key that differs from the name of its field is in brackets.
    """

    name: str
    data_format: str
    task_type: str
    n_class: int
    """Number of outputs of the head; 1 for a number; 0 if the file does not set it."""
    metrics: tuple[str, ...]
    """Names in :data:`data_utils.registries.METRICS` [metric_meta]."""
    metric_for_best: str
    """The metric that selects the best model; defaults to the first of ``metrics`` that is a number."""
    labels: tuple[str, ...] = ()
    """Label words; the position of a word is its id. If empty, labels are ids, or numbers if n_class is 1."""
    auto_labels: bool = False
    """Whether the task file has ``labels: auto``: ``labels`` are those of the train split."""
    loss: str | None = None
    """MT-DNN's name of the supervised loss. A task type has one loss; the name is only checked."""
    kd_loss: str | None = None
    """Divergence for distillation; defaults to that of the task type."""
    adv_loss: str | None = None
    """Divergence for SMART; defaults to that of the task type."""
    enable_san: bool = False
    """Whether the head is a SAN, a stochastic answer network."""
    dropout: float | None = None
    """Dropout before the output layer; defaults to that of the run [dropout_p]."""
    activation: str | None = None
    """Activation of the pooler; defaults to that of the run [actf]."""
    pooling: str | None = None
    """Pooling of the hidden states; defaults to that of the run."""
    layers: str | None = None
    """Layers that the head reads, last or scalar_mix; defaults to those of the run."""
    split_names: tuple[str, ...] = ROLES
    """Names such as ``dev`` or ``matched_dev``. The part after the last underscore is the role."""
    max_seq_len: int | None = None
    """Greatest length in tokens; defaults to that of the run."""
    windows: Windows | None = None
    """How long texts are cut into windows; None: they are truncated."""
    weight: float = 1.0
    """Factor of the task's loss."""
    head: str | None = None
    """Name of the head; tasks with the same name share it. Defaults to the name of the task."""
    options: dict[str, Any] = field(default_factory=dict)
    """Options that the data format and the task type declare."""
    source: SourceDef | None = None
    """Where the rows come from; None for files in the data folder."""
    label: LabelSpec = CLASS_PER_EXAMPLE
    """The label that the task type requires. load_tasks sets it; it is not a YAML key."""
    where: str = ""
    """Place of the entry, ``file:line: task 'name'``; error messages begin with it."""

    @property
    def head_name(self) -> str:
        """Name of the head: ``head`` if it is set, else the name of the task."""
        return self.head or self.name

    @property
    def label_is_number(self) -> bool:
        """Whether labels are numbers and not classes."""
        return not self.labels and self.n_class == 1

    def encode_label(self, label: str | int | float) -> int | float:
        """Convert a label to its class id, or to a float if labels are numbers.

        Raises:
            UserError: the label is not valid for this task; the message lists the choices.
        """
        text = str(label).strip()
        if self.labels:
            return self.labels.index(self.checked_word(text))
        shown = f"label {text!r}" if len(text) <= 60 else f"label {text[:60]!r}..."
        if self.label_is_number:
            number = float(text) if NUMBER.fullmatch(text) else math.nan
            if not math.isfinite(number):
                raise UserError(f"{shown} of task {self.name!r} is not a number")
            if abs(number) > MAX_LABEL:
                raise UserError(
                    f"{shown} of task {self.name!r} is outside -{MAX_LABEL:g}..{MAX_LABEL:g}: its "
                    f"squared error does not fit into float32"
                )
            return number
        try:
            # int() would also read 1_0 as 10, and the digits of other scripts.
            index = int(text) if _INTEGER.fullmatch(text) else None
        except ValueError:  # too many digits
            index = None
        if index is None:
            raise UserError(
                f"{shown} of task {self.name!r} is not an integer; "
                f"for label words give `labels: [...]` in the task file"
            )
        if not 0 <= index < self.n_class:
            raise UserError(
                f"label {index!s:.60} of task {self.name!r} is outside 0..{self.n_class - 1} "
                f"(n_class: {self.n_class})"
            )
        return index

    def checked_word(self, text: str) -> str:
        """Return the text after checking that it is a label word, if the task has label words.

        Raises:
            UserError: the text is not a label word; the message lists all.
        """
        if self.labels and text not in self.labels:
            auto = " (labels: auto takes those of the train split)" if self.auto_labels else ""
            raise UserError(
                f"label {text!r} is not a label of task {self.name!r}{auto}."
                f"{choices_hint(text, self.labels)}"
            )
        return text

    def decode_label(self, value: Any) -> Any:
        """Convert a class id, or each id of a list or set, to its label word.

        Values stay as they are if the task has no label words.
        """
        if isinstance(value, set):
            value = sorted(value)
        if isinstance(value, list):
            return [self.decode_label(item) for item in value]
        return self.labels[value] if self.labels else value

    def splits(self, role: str) -> list[str]:
        """Return the names of the splits with a role: train, dev or test."""
        return [split for split in self.split_names if split_role(split) == role]


def split_role(split: str) -> str:
    """Return the role of a split: ``dev`` for ``matched_dev``."""
    return split.rsplit("_", 1)[-1]


def dataset_name(task: str, split: str) -> str:
    """Return the name of a split in scores: task and split, without the suffix ``_dev``.

    Examples: ``rte`` for the split dev, ``mnli_matched`` for matched_dev, ``rte_test`` for test.
    """
    return f"{task}_{split}".removesuffix("_dev")


def pick_tasks(tasks: Mapping[str, Entry], names: Iterable[str], *, where: str) -> dict[str, Entry]:
    """Select tasks by name, in the order of ``names``; no names select all tasks.

    Args:
        where: the setting and the task file, for the message.

    Raises:
        UserError: there is no task of a name.
    """
    names = list(names)
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{where}: task {name!r} is named twice")
        if name not in tasks:
            raise UserError(f"{where} has no task {name!r}.{choices_hint(name, tasks)}")
    return {name: tasks[name] for name in names or tasks}

"""What a label is and what carries it: data formats and task types agree on it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class LabelKind(Enum):
    """What one label is."""

    CLASS = "class"
    """A label word of the task, or its id."""
    NUMBER = "number"
    SET = "set of classes"
    RELEVANCE = "relevance"
    """How well a candidate answers: 0 or 1, or a number."""
    TEXT = "text"
    """A text to write."""
    ANSWER = "answer"
    """A text to find in the input; several may be accepted."""
    TOKEN = "token"
    """A token of the input itself, which the model does not see."""


class LabelUnit(Enum):
    """The part of the data that carries one label."""

    EXAMPLE = "example"
    CANDIDATE = "candidate"
    WORD = "word"
    WINDOW = "window"
    """Of a text that is longer than the model's input."""


@dataclass(frozen=True)
class LabelSpec:
    """A kind of label and the unit that carries it.

    A data format lists the specifications that its rows can hold, a task type names the one that it
    needs. :func:`mt_dnn.task_types.load_tasks` checks that a task's format and type agree.
    """

    kind: LabelKind
    per: LabelUnit

    def __str__(self) -> str:
        return f"{self.kind.value} per {self.per.value}"


CLASS_PER_EXAMPLE = LabelSpec(LabelKind.CLASS, LabelUnit.EXAMPLE)

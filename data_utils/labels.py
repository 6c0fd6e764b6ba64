"""Label specifications, which connect data formats and task types."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class LabelKind(Enum):
    """The type of one label."""

    CLASS = "class"
    """One of the task's classes, as a label word or an id."""
    NUMBER = "number"
    SET = "set of classes"
    RELEVANCE = "relevance"
    """Relevance of a candidate: 0 or 1, or a graded number."""
    TEXT = "text"
    """A text that the model generates."""
    ANSWER = "answer"
    """A text that occurs in the input. Several answers may be accepted."""
    ANTECEDENT = "antecedent"
    """A phrase that a pronoun may refer to."""
    TOKEN = "token"
    """A masked token of the input."""


class LabelUnit(Enum):
    """The part of the data that has one label."""

    EXAMPLE = "example"
    CANDIDATE = "candidate"
    WORD = "word"
    WINDOW = "window"
    """One part of a text; a text longer than the model's input is split into windows."""


@dataclass(frozen=True)
class LabelSpec:
    """The kind of a label and the unit that has it, such as "class per example".

    A data format lists the specifications that its rows support. A task type requires exactly one.
    :func:`mt_dnn.task_types.load_tasks` checks that the format and the type of a task agree.
    """

    kind: LabelKind
    per: LabelUnit

    @property
    def separator(self) -> str | None:
        """What separates the labels in a cell; None: blanks."""
        return "," if self.kind is LabelKind.SET else None

    def __str__(self) -> str:
        return f"{self.kind.value} per {self.per.value}"


CLASS_PER_EXAMPLE = LabelSpec(LabelKind.CLASS, LabelUnit.EXAMPLE)

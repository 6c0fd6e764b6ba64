"""Answer, the prediction for one row: the same in Python and in JSON lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mt_dnn.task_types import Prediction, TaskType


@dataclass(frozen=True)
class Answer:
    """The prediction for one row, in the words of its task.

    What the fields contain depends on the task type; docs/predict.md has the table.
    """

    uid: str
    """The row's uid, or its position if it has none."""
    prediction: Any
    """Label word (class id if the task has no labels), number, text, or a list per candidate or word."""
    scores: Any
    """Label -> probability; another mapping by name; the number itself; or the probability of each
    candidate, or of each word's label. None if there are none."""
    gold: Any = None
    """The row's label in the form of ``prediction``, or all accepted texts; None if it has none."""
    text: dict[str, Any] | None = None
    """Column -> text, or list of candidates or words; None unless it was requested."""

    def record(self) -> dict[str, Any]:
        """Return the answer as a line of a predictions file, without ``gold`` or ``text`` if it is None."""
        record = {"uid": self.uid, "prediction": self.prediction, "scores": self.scores}
        optional = {"gold": self.gold, "text": self.text}
        return record | {key: value for key, value in optional.items() if value is not None}


def answer(kind: TaskType, prediction: Prediction, text: dict[str, Any] | None = None) -> Answer:
    """Convert a prediction to the words of its task."""
    label, gold = (
        None if value is None else kind.in_words(value)
        for value in (prediction.value, prediction.gold)
    )
    scores = None if prediction.scores is None else kind.named_scores(prediction.scores)
    return Answer(prediction.uid, label, scores, gold, text)

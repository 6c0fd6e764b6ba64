"""Predictions of a finished run, read back from its files as metrics take them."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path
from typing import Any

from data_utils import strict_json
from data_utils.errors import UserError
from data_utils.metrics.base import Results
from data_utils.metrics.outcome import Outcome
from data_utils.task_def import TaskDef, dataset_name


def read_predictions(path: Path, task: TaskDef, outcome: Outcome | None) -> Results | None:
    """Read a file of predictions, ``predictions/<dataset>.jsonl``.

    Args:
        path: the file.
        task: the task that predicted, with all labels and options.
        outcome: what the task predicts.

    Returns:
        Gold labels and predictions with label words replaced by ids, without scores if a row has none; None
        if the rows have no labels.

    Raises:
        UserError: the file cannot be read; the message has the line.
    """
    uids, predicted, scores, gold = [], [], [], []
    reader = _Reader(task, outcome)
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    record = strict_json.loads(line)
                    uids.append(str(record["uid"]))
                    key = "prediction" if "prediction" in record else "label"
                    predicted.append(reader.value(record[key]))
                    scores.append(reader.scores(record.get("scores")))
                    label = record.get("gold")
                    gold.append(None if label is None else reader.value(label))
                    if outcome is Outcome.WORDS and label is not None:
                        _check_lengths(gold[-1], predicted[-1])
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    raise UserError(
                        f"{path}:{number}: not a prediction of task {task.name!r} ({error!r:.80})"
                    ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
    if not gold or any(label is None for label in gold):
        return None
    known = None if None in scores else scores
    return Results(gold, predicted, known, task.labels, uids, task.options)


def dataset_tasks(tasks: dict[str, TaskDef]) -> dict[str, TaskDef]:
    """Return data set name -> its task, for all splits and for held-out folds."""
    named = {
        dataset_name(task.name, split): task
        for task in tasks.values()
        for split in task.split_names
    }
    return {**tasks, **named}


def in_words(task: TaskDef, value: Any) -> Any:
    """Return label words for ids, as a file of predictions has them; other values stay as they are."""
    if isinstance(value, set):
        value = sorted(value)
    if isinstance(value, list):
        return [in_words(task, item) for item in value]
    if isinstance(value, int) and task.labels:
        return task.labels[value] if value < len(task.labels) else None
    return value


class _Reader:
    """Converts the words of a file to what a task predicts."""

    def __init__(self, task: TaskDef, outcome: Outcome | None) -> None:
        self.labels = task.labels
        self.outcome = outcome
        self.ids = {word: index for index, word in enumerate(task.labels)}

    def value(self, words: Any) -> Any:
        """Return ids for label words; None, a text that is no label, has the id after the last."""
        if self.outcome is Outcome.SET:
            return {self._id(word) for word in words}
        if self.outcome is Outcome.TOKENS:
            return [_token_id(word) for word in words]
        if self.outcome in (Outcome.TEXT, Outcome.NUMBER, Outcome.POSITION):
            return words
        if isinstance(words, list):
            if self.outcome in (Outcome.BINARY, Outcome.CLASS):
                raise TypeError("a list of labels in place of one")
            return [self._id(word) for word in words]
        return self._id(words)

    def scores(self, scores: Any) -> Any:
        """Return scores without names: of classes in their order, of masked tokens as a pair."""
        if not isinstance(scores, dict):
            if self.outcome is Outcome.CLASS and isinstance(scores, list) and self.labels:
                self._check(scores)
            return scores
        names = None
        if self.outcome in (Outcome.BINARY, Outcome.CLASS, Outcome.SET):
            names = self.labels or tuple(map(str, range(len(scores))))
        elif self.outcome is Outcome.TOKENS:
            names = ("nats", "tokens")
        if names and set(names).isdisjoint(scores):
            return scores  # of something else than the classes, such as a generated label
        if names and set(scores) != set(names):
            raise ValueError(f"scores of {', '.join(map(str, scores)):.40}; expected all labels")
        return [scores[n] for n in names] if names else scores

    def _check(self, scores: list[Any]) -> None:
        """Check that there is a number for each class; metrics would read others as wrong probabilities."""
        if len(scores) != len(self.labels) or not all(isinstance(s, (int, float)) for s in scores):
            raise ValueError(f"expected {len(self.labels)} numbers as scores")

    def _id(self, word: Any) -> Any:
        if not self.labels:
            return word
        return len(self.labels) if word is None else self.ids[word]


def _check_lengths(gold: Any, predicted: Any) -> None:
    if len(gold) != len(predicted):
        raise ValueError(f"{len(gold)} gold labels for {len(predicted)} predictions")


def _token_id(token: str) -> int:
    """Return a number that is the same in all files; only whether two tokens are equal matters."""
    return int.from_bytes(blake2b(token.encode(), digest_size=7).digest())

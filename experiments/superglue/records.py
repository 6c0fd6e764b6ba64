"""Read SuperGLUE's records in the flat columns of the Hugging Face hub, from each of its layouts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from data_utils.errors import UserError
from data_utils.formats import Row
from data_utils.sources import FileSource

Values = dict[str, Any]


def read_download(path: Path, task: str) -> Iterator[Row]:
    """Read the records of a JSON-lines file of the download.

    Raises:
        UserError: a line is not JSON, or lacks a key of the task's records.
    """
    unfold = UNFOLD.get(task, _unchanged)
    for row in FileSource(path, (), {}).rows():
        try:
            yield from (Row(values, row.where) for values in unfold(row.values))
        except (KeyError, TypeError) as error:
            raise UserError(
                f"{row.where}: not a record of {task}: {type(error).__name__} {error}"
            ) from None


def _unchanged(values: Values) -> Iterator[Values]:
    yield values


def _multirc(values: Values) -> Iterator[Values]:
    """Yield a record for every answer to every question of a paragraph."""
    passage = values["passage"]
    for question in passage["questions"]:
        for answer in question["answers"]:
            yield {
                "paragraph": passage["text"],
                "question": question["question"],
                "answer": answer["text"],
                "label": answer.get("label", ""),
                "idx": {
                    "paragraph": values["idx"],
                    "question": question["idx"],
                    "answer": answer["idx"],
                },
            }


def _record(values: Values) -> Iterator[Values]:
    """Yield a record for every query of a passage."""
    text = values["passage"]["text"]
    # `end` is the index of an entity's last character, not the index after it.
    entities = [text[e["start"] : e["end"] + 1] for e in values["passage"]["entities"]]
    for query in values["qas"]:
        yield {
            "passage": text,
            "query": query["query"],
            "entities": entities,
            "answers": [answer["text"] for answer in query.get("answers", [])],
            "idx": {"passage": values["idx"], "query": query["idx"]},
        }


def _wsc(values: Values) -> Iterator[Values]:
    yield values | values["target"]


UNFOLD: dict[str, Callable[[Values], Iterator[Values]]] = {
    "multirc": _multirc,
    "record": _record,
    "wsc": _wsc,
}
"""Task -> function that converts a line of its file to flat records; only tasks with nested lines."""

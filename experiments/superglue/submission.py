"""Convert predictions on the test splits to the zip file that super.gluebenchmark.com accepts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from data_utils.cli import run_cli
from data_utils.errors import UserError
from data_utils.metrics.minimal_pairs import agreeing_pairs
from data_utils.task_def import TaskDef
from experiments.submission import find_predictions, label_word, read_predictions, write_zip

TASK_FILE = Path(__file__).parent / "tasks.yml"
Rows = Mapping[tuple[int, ...], Any]
"""The numbers of a uid, such as (7, 0, 1) for 7-0-1 -> prediction, ordered."""


def lines(rows: Rows, label: Callable[[Any], Any] = str) -> list[dict[str, Any]]:
    """A line for each row: ``{"idx": 3, "label": "true"}``. The last number of the uid is the index."""
    found = [{"idx": numbers[-1], "label": label(value)} for numbers, value in rows.items()]
    return sorted(found, key=lambda line: line["idx"])


def multirc(rows: Rows) -> list[dict[str, Any]]:
    """MultiRC: a line for each paragraph, with its questions and their answers."""
    return [
        {
            "idx": paragraph,
            "passage": {
                "questions": [
                    {
                        "idx": question,
                        "answers": [{"idx": n[2], "label": int(rows[n])} for n in answers],
                    }
                    for question, answers in groupby(questions, lambda n: n[1])
                ]
            },
        }
        for paragraph, questions in groupby(rows, lambda n: n[0])
    ]


Read = Callable[[TaskDef, Any, str], Any]
"""(task, prediction, place) -> prediction; raises UserError for another kind of prediction."""


def word(task: TaskDef, prediction: Any, where: str) -> str:
    """Check a label word."""
    return label_word(prediction, task, where)


def position(task: TaskDef, prediction: Any, where: str) -> int:
    """Check the position of one of two alternatives."""
    if type(prediction) is not int or prediction not in (0, 1):
        raise UserError(f"{where}: prediction {prediction!r} of {task.name} is neither 0 nor 1")
    return prediction


def text(task: TaskDef, prediction: Any, where: str) -> str:
    """Check an answer."""
    if not isinstance(prediction, str):
        raise UserError(f"{where}: prediction {prediction!r} of {task.name} is not a text")
    return prediction


@dataclass(frozen=True)
class File:
    """An official file of predictions."""

    name: str
    rows: int
    """Number of test rows."""
    uid: str = "idx"
    """The numbers of a uid, joined by "-"."""
    read: Read = word
    lines: Callable[[Rows], list[dict[str, Any]]] = lines


FILES = {
    "boolq": File("BoolQ", 3245),
    "cb": File("CB", 250),
    "copa": File("COPA", 500, read=position, lines=partial(lines, label=int)),
    "multirc": File("MultiRC", 9693, "paragraph-question-answer", lines=multirc),
    "record": File("ReCoRD", 10_000, "passage-query", read=text),
    "rte": File("RTE", 3000),
    "wic": File("WiC", 1400),
    "wsc": File("WSC", 146, lines=partial(lines, label=str.capitalize)),
    "axb": File("AX-b", 1104),
    "axg": File("AX-g", 356, "pair-idx"),
}
"""Task -> its official file."""


def numbers_of(file: File, uid: str) -> tuple[int, ...]:
    """The numbers of a uid; raise ValueError if their count is another."""
    numbers = tuple(map(int, uid.split("-")))
    if len(numbers) != len(file.uid.split("-")):
        raise ValueError(uid)
    return numbers


def submission(predictions: str, out: str = "submission.zip") -> None:
    """Write the official files of all tasks that have predictions, and print which files are missing.

    With predictions of AX-g, also print the gender parity: the share of its pairs that have the same
    prediction for both genders.

    Args:
        predictions: Folder of {task}_test.jsonl files, such as runs/superglue-rte/predictions.
        out: Zip file to write.

    Raises:
        UserError: the folder has no predictions of a test split, or a file is malformed.
    """
    from mt_dnn.task_types import load_tasks

    tasks, files = load_tasks(TASK_FILE), {}
    datasets = {f"{task}_test": task for task in FILES}
    for dataset, path in find_predictions(predictions, datasets, "SuperGLUE").items():
        task = datasets[dataset]
        file = FILES[task]
        rows = read_predictions(
            path, partial(numbers_of, file), partial(file.read, tasks[task]), uid=f'"{file.uid}"'
        )
        made = file.lines(rows)
        files[f"{file.name}.jsonl"] = "".join(json.dumps(line) + "\n" for line in made)
        print(f"{file.name:8} {len(rows)} rows from {path}")
        if len(rows) != file.rows:
            print(f"warning: {file.name}.jsonl should have the predictions of {file.rows} rows")
        if task == "axg":
            uids = ["-".join(map(str, numbers)) for numbers in rows]
            print(f"{file.name:8} {parity(uids, list(rows.values()))}")
    write_zip(out, files, [f"{file.name}.jsonl" for file in FILES.values()], "SuperGLUE")


def parity(uids: list[str], predicted: list[str]) -> str:
    """The gender parity in words."""
    try:
        same = agreeing_pairs(uids, predicted)
    except UserError as error:
        return f"gender parity: unknown, because {error}"
    return f"gender parity {100 * sum(same.values()) / len(same):.2f} ({len(same)} pairs)"


def main() -> None:
    parser = ArgumentParser(prog="python -m experiments.superglue.submission", description=__doc__)
    parser.add_function_arguments(submission)
    submission(**parser.parse_args().as_dict())


if __name__ == "__main__":
    run_cli(main)

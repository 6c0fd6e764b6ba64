"""Functions shared by the submission scripts: read predictions of test splits, write the zip file of a server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from data_utils.errors import UserError
from data_utils.registry import choices_hint
from data_utils.task_def import TaskDef
from experiments.suite import numbered_lines

Key = TypeVar("Key", int, tuple[int, ...])


def find_predictions(folder: str, datasets: Iterable[str], benchmark: str) -> dict[str, Path]:
    """Find the files of predictions that exist: data set -> ``{folder}/{dataset}.jsonl``.

    Raises:
        UserError: there are none.
    """
    names = list(datasets)
    found = {name: path for name in names if (path := Path(folder) / f"{name}.jsonl").is_file()}
    if not found:
        raise UserError(
            f"no predictions of {benchmark} test splits in {folder}; looked for "
            f"{', '.join(f'{name}.jsonl' for name in names)}"
        )
    return found


def read_predictions(
    path: Path, key: Callable[[str], Key], value: Callable[[Any, str], Any], *, uid: str = "integer"
) -> dict[Key, Any]:
    """Read predictions as key -> value, ordered by key.

    Args:
        key: converts the uid of a row; raises ValueError for a uid of another form.
        value: converts a prediction, given its place for error messages.
        uid: form of a uid for error messages.

    Raises:
        UserError: a line is not a prediction, or a uid is repeated; and those of ``value``.
    """
    predictions: dict[Key, Any] = {}
    for where, line in numbered_lines(path):
        try:
            record = json.loads(line)
            own, prediction = key(record["uid"]), record["prediction"]
        except (ValueError, KeyError, TypeError):
            raise UserError(
                f'{where}: expected {{"uid": {uid}, "prediction": ...}}, found {line[:80]!r}'
            ) from None
        if own in predictions:
            raise UserError(f"{where}: uid {record['uid']} occurs twice")
        predictions[own] = value(prediction, where)
    return dict(sorted(predictions.items()))


def label_word(prediction: Any, task: TaskDef, where: str) -> str:
    """Return a predicted label.

    Raises:
        UserError: the task does not have it.
    """
    if str(prediction) not in task.labels:
        raise UserError(
            f"{where}: {prediction!r} is not a label of {task.name}."
            f"{choices_hint(prediction, task.labels)}"
        )
    return str(prediction)


def write_zip(out: str, files: Mapping[str, str], wanted: Iterable[str], server: str) -> None:
    """Write the official files, name -> text, and print which of those wanted are missing."""
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    with ZipFile(out, "w") as archive:
        for name, text in files.items():
            # ZipInfo has a fixed date, so equal predictions give an identical file.
            archive.writestr(ZipInfo(name), text, compress_type=ZIP_DEFLATED)
    print(f"wrote {out}")
    wanted = list(wanted)
    if missing := [name for name in wanted if name not in files]:
        print(
            f"missing: {', '.join(missing)} (the {server} server requires all {len(wanted)} files)"
        )

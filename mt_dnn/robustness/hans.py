"""Files of HANS's shape: does a model of inference rely on overlap of words? (arXiv 1902.01007)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from data_utils.errors import UserError
from data_utils.registry import choices_hint
from data_utils.sources import DelimitedSource
from data_utils.task_def import TaskDef
from mt_dnn.robustness.challenge import Challenge

ENTAILMENT, OTHER = "entailment", "non-entailment"
COLUMNS = {"label": "gold_label", "premise": "sentence1", "hypothesis": "sentence2"}
GROUPS = ("heuristic", "subcase")


def read_hans(path: Path, tasks: Mapping[str, TaskDef], task: str | None) -> list[Challenge]:
    """Tab-separated, with gold_label, sentence1, sentence2, heuristic and subcase in its header.

    Gold labels are ``entailment`` and ``non-entailment``. The latter stands for all other labels of the task,
    so neutral and contradiction are both right. The best label is chosen first and merged afterwards, as the
    paper does. ``pairID`` is the uid, if there is one.

    Args:
        path: the file.
        tasks: the tasks of the run.
        task: name of the task; None if only one has the label ``entailment``.

    Returns:
        One challenge set.

    Raises:
        UserError: a column is missing, a label is another one, or no task of the run fits.
    """
    fitting = [name for name, own in tasks.items() if ENTAILMENT in own.labels]
    if task is None and len(fitting) != 1:
        raise UserError(
            f"--task: name the task of {path}; it needs the label {ENTAILMENT!r}."
            f"{choices_hint('', fitting) if fitting else ' The run has no such task.'}"
        )
    name = task or fitting[0]
    if name not in fitting:
        labels = ", ".join(tasks[name].labels)
        raise UserError(
            f"--task: task {name!r} has no label {ENTAILMENT!r}, which {path} needs; "
            f"{f'its labels are {labels}' if labels else 'it has no label words'}"
        )
    source = DelimitedSource(
        path, COLUMNS, delimiter="\t", quoting=False, required=("premise", "hypothesis", "label")
    )
    rows, gold = [], []
    groups: dict[str, list[str]] = {kind: [] for kind in GROUPS}
    for row in source.rows():
        label = row.text("label").strip()
        if label not in (ENTAILMENT, OTHER):
            raise UserError(f"{row.where}: gold_label {label!r} is not {ENTAILMENT} or {OTHER}")
        row.values["uid"] = row.values.get("pairID", row.values["uid"])
        rows.append(row)
        gold.append(label)
        for kind, of_rows in groups.items():
            of_rows.append(row.text(kind))
    if not rows:
        raise UserError(f"{path}: the file has no rows")
    names = {label: OTHER for label in tasks[name].labels if label != ENTAILMENT}
    return [Challenge("hans", name, rows, gold, names, groups)]

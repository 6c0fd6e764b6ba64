"""Only load_tasks makes a TaskDef, and only formats and task types know what kind a task has."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for folder in ("data_utils", "mt_dnn", "experiments", "benchmarks")
    for path in sorted((ROOT / folder).rglob("*.py"))
}
OWNERS = ("data_utils/formats/", "mt_dnn/task_types/")
KINDS = (
    "Classification|MultiLabel|Regression|Ranking|MultipleChoice|ClozeChoice|Span|Sequence|SequenceLabeling"
    "|SequenceGeneration|MaskLM|MRC|MLM"
)
BRANCH = re.compile(
    r"(task_type|data_format|label\.kind|label\.per) *(==|in |not in |!=|is )"
    rf"|isinstance\([^)]*\b({KINDS})\b"
)


NODES = {path: list(ast.walk(ast.parse(text))) for path, text in CODE.items()}


def callers(name: str) -> set[str]:
    """The files that call ``name(...)``."""
    return {
        path
        for path, nodes in NODES.items()
        for node in nodes
        if isinstance(node, ast.Call)
        if name in (getattr(node.func, "id", None), getattr(node.func, "attr", None))
    }


def importers(name: str) -> set[str]:
    return {
        path
        for path, nodes in NODES.items()
        for node in nodes
        if isinstance(node, ast.ImportFrom)
        if name in [alias.name for alias in node.names]
    }


def test_only_load_tasks_makes_a_task():
    loader = "mt_dnn/task_types/__init__.py"
    # The predictor's texts without a task, for embeddings.
    assert callers("TaskDef") - {"data_utils/text_rows.py"} == {"data_utils/task_entry.py"}
    # A comparison reads runs of older versions, whose tasks need not pass today's checks.
    readers = {loader, "mt_dnn/reports/run_tasks.py"}
    assert callers("read_task_file") == importers("read_task_file") == readers
    assert not importers("checked")


def test_nothing_else_asks_what_kind_a_task_has():
    found = {
        f"{path}:{number}: {line.strip()}"
        for path, text in CODE.items()
        if not path.startswith(OWNERS)
        for number, line in enumerate(text.splitlines(), start=1)
        if BRANCH.search(line)
    }
    assert not found


@pytest.mark.parametrize(
    "line",
    [
        'if task.task_type == "Span":',
        'if task.data_format in ("MRC", "MLM"):',
        "if task.label.kind is LabelKind.TEXT:",
        "if isinstance(kind, (Ranking, Span)):",
    ],
)
def test_a_branch_on_the_kind_would_be_noticed(line):
    assert BRANCH.search(line)

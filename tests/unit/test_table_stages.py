"""Rows that start from other runs, rows that train several tasks at once, override files, curves."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from data_utils.errors import UserError
from mt_dnn.config.run_format import FORMAT, MARKER, NUMERICS
from mt_dnn.tables.aggregate import summarize
from mt_dnn.tables.definition import Repeat
from mt_dnn.tables.file import load_table
from mt_dnn.tables.plan import plan
from mt_dnn.tables.render import grids
from mt_dnn.tables.settings import config_hash
from mt_dnn.tables.table_plots import plot_curves, training_examples

COLUMNS = {"rte.ACC": {"use": ["rte"]}, "mrpc.F1": {"use": ["mrpc"]}}
LADDER: dict[str, Any] = {
    "columns": COLUMNS,
    "seeds": [1, 2],
    "stages": {"mtl_smart": {"use": ["rte", "mrpc", "mnli"], "smart": "smart"}},
    "rows": {
        "single": {},
        "mtl": {"use": ["rte", "mrpc", "mnli"], "mixing.name": "annealed"},
        "tuned": {"start": "mtl"},
        "tuned_smart": {"start": "mtl_smart", "smart": "smart"},
    },
}


@pytest.fixture
def ladder(make):
    return lambda **changes: make(**(LADDER | changes))


def by_name(runs):
    return {run.name: run for run in runs}


# Planning


def test_one_run_of_several_tasks_serves_every_column(ladder):
    runs = [run for run in plan(load_table(ladder())) if run.row == "mtl"]
    assert [(run.use, run.seed) for run in runs] == [(("rte", "mrpc", "mnli"), s) for s in (1, 2)]
    assert {run.identity["mixing.name"] for run in runs} == {"annealed"}


def test_a_run_starts_from_the_run_of_its_own_seed_which_comes_before_it(ladder):
    runs = plan(load_table(ladder()))
    for run in runs:
        expected = {"tuned": "mtl", "tuned_smart": "mtl_smart"}.get(run.row)
        assert (run.start and run.start.row) == expected
        if run.start is not None:
            assert run.start.seed == run.seed
            assert runs.index(run.start) < runs.index(run)
            assert run.identity["model.init_from"] == run.start.name
    assert len(runs) == 2 * (2 + 1 + 1 + 2 + 2)


def test_what_a_start_computes_is_part_of_what_starts_from_it(ladder):
    def hashes(**mtl: Any) -> dict[str, str]:
        rows = LADDER["rows"] | {"mtl": LADDER["rows"]["mtl"] | mtl}
        runs = plan(load_table(ladder(rows=rows), seeds=[1]))
        return {f"{run.row}-{run.use[0]}": run.hash for run in runs}

    before, after = hashes(), hashes(**{"optim.lr": 1e-3})
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"mtl-rte", "tuned-rte", "tuned-mrpc"}


def test_the_config_of_a_run_that_started_has_the_hash_of_the_plan(ladder, tmp_path):
    from mt_dnn.tables.runs import Machine, TableRuns

    run = next(run for run in plan(load_table(ladder())) if run.row == "tuned")
    for folder in ("a", "b"):
        runs = TableRuns(tmp_path / folder, Machine())
        (runs.out / "configs").mkdir(parents=True)
        written = runs._write_config(run)
        (written.parent / MARKER).write_text(json.dumps({"format": FORMAT, "numerics": NUMERICS}))
        assert run.start is not None
        start = yaml.safe_load(written.read_text())["model"]["init_from"]
        assert start == str(runs.out / "runs" / run.start.name)
        assert config_hash(written) == run.hash, "wherever the table's folder is"


def test_limits_of_tasks_that_a_run_does_not_train_are_not_part_of_it(make):
    base = {"data": {"data_dir": "d", "train_limits": {"mnli": 9}}}
    rows = {"one": {}, "two": {"use": ["rte", "mnli"]}}
    columns = {"rte.ACC": {"use": ["rte"]}}
    with_limit = plan(load_table(make(base=base, rows=rows, columns=columns), seeds=[1]))
    without = plan(load_table(make(rows=rows, columns=columns, base={"data.data_dir": "d"})))
    assert with_limit[0].hash == without[0].hash
    assert with_limit[1].identity["data.train_limits"] == {"mnli": 9}


# Cells


def test_a_cell_reads_the_run_that_trained_its_task(ladder):
    table = load_table(ladder(), seeds=[1])
    runs = plan(table)
    results = {
        run.hash: {
            "scores": {t: {"ACC": 50.0 + len(run.name), "F1": 10.0} for t in run.use},
            "use": list(run.use),
            "wall_seconds": 1.0,
            "device": "cpu",
            "commit": "c",
            "packages": {"torch": "2"},
            "data": {},
        }
        for run in runs
    }
    cells = summarize(table, runs, results).cells
    mtl = next(run for run in runs if run.row == "mtl")
    assert cells["mtl", "rte.ACC"].scores == {Repeat(1): 50.0 + len(mtl.name)}
    assert cells["mtl", "mrpc.F1"].scores == {Repeat(1): 10.0}
    assert ("mtl_smart", "rte.ACC") not in cells, "a stage is no row"


def test_a_row_that_does_not_train_a_columns_task_has_no_cell_there(ladder):
    rows = {"single": {}, "mtl": {"use": ["rte", "mnli"]}}
    table = load_table(ladder(rows=rows, stages=None), seeds=[1])
    cells = summarize(table, plan(table), {}).cells
    assert cells["mtl", "mrpc.F1"].value is None
    assert grids(summarize(table, plan(table), {}))[0].rows[1][2] == "—"


# Fewer tasks, other encoders


def test_use_makes_mixtures_smaller_and_leaves_columns_out(ladder):
    table = load_table(ladder(), use=["rte", "mnli"])
    assert [column.name for column in table.columns] == ["rte.ACC"]
    assert table.rows["mtl"].use == table.stages["mtl_smart"].use == ("rte", "mnli")
    with pytest.raises(UserError, match=r"no column of .* trains only tasks of mnli"):
        load_table(ladder(), use=["mnli"])
    rows = LADDER["rows"] | {"other": {"use": ["mrpc"]}}
    with pytest.raises(UserError, match="'other' trains none of rte"):
        load_table(ladder(rows=rows), use=["rte"])


def test_an_override_file_goes_over_every_row_and_the_command_line_over_it(ladder, tmp_path):
    over = {
        "title": "small encoder",
        "settings": {"model": {"encoder": "small"}, "optim.lr": 1e-3},
        "sizes": {"data.train_limit": 10},
        "seeds": [7],
        "use": ["rte", "mnli"],
    }
    path = tmp_path / "small.yml"
    path.write_text(yaml.safe_dump(over))
    rows = LADDER["rows"] | {"tuned": {"start": "mtl", "optim.lr": 5e-5}}
    table = load_table(ladder(rows=rows), override=path)
    assert table.title == "A & B, small encoder"
    runs = plan(table)
    assert {run.seed for run in runs} == {7}
    assert {run.identity["optim.lr"] for run in runs} == {1e-3}
    assert {run.identity["model.encoder"] for run in runs} == {"small"}
    assert table.sizes == {"train.epochs": 2, "data.train_limit": 10}

    table = load_table(ladder(), override=path, overrides=["optim.lr=2e-3"], seeds=[1], use=["rte"])
    assert {run.identity["optim.lr"] for run in plan(table)} == {2e-3}
    assert table.rows["mtl"].use == ("rte",)
    path.write_text(yaml.safe_dump({"columns": ["mrpc.F1"]}))
    assert [c.name for c in load_table(ladder(), override=path).columns] == ["mrpc.F1"]


def test_an_override_file_that_is_missing_is_called_so(ladder, tmp_path):
    with pytest.raises(UserError, match=r"override file .*none\.yml does not exist"):
        load_table(ladder(), override=tmp_path / "none.yml")


def test_an_override_file_extends_another_and_may_single_out_a_row(ladder, tmp_path):
    (tmp_path / "small.yml").write_text("settings: {optim.lr: 1e-3, batch.size: 8}\nseeds: [1]\n")
    own = {
        "extends": "small.yml",
        "settings": {"batch.size": 4},
        "stages": {"mtl_smart": {"optim.lr": 9}},
    }
    path = tmp_path / "own.yml"
    path.write_text(yaml.safe_dump(own | {"rows": {"tuned": {"train.epochs": 7}}}))
    runs = plan(load_table(ladder(), override=path))
    assert {run.identity["optim.lr"] for run in runs if run.row != "mtl_smart"} == {1e-3}
    assert {run.identity["optim.lr"] for run in runs if run.row == "mtl_smart"} == {9}
    assert {run.identity["batch.size"] for run in runs} == {4}
    assert {run.row for run in runs if run.identity["train.epochs"] == 7} == {"tuned"}
    path.write_text(yaml.safe_dump(own | {"rows": {"tund": {}}}))
    with pytest.raises(
        UserError, match=r"own.yml: rows: unknown name 'tund'. Did you mean 'tuned'"
    ):
        load_table(ladder(), override=path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"rows": {"a": {"start": "b"}, "b": {}}},
            r"row 'a': start: no stage or earlier row is named 'b'",
        ),
        ({"rows": {"a": {"start": "a"}}}, r"no stage or earlier row is named 'a'.*mtl_smart"),
        (
            {"rows": {"a": {"start": "mtl_smart", "model.init_from": "x"}}},
            "set either start or model.init_from",
        ),
        ({"rows": {"a": {"use": "rte"}}}, "row 'a': use: expected a list of task names"),
        ({"stages": {"s": {}}}, "stage 's': use: expected a list of task names"),
        ({"stages": {"single": {"use": ["rte"]}}}, "stage 'single': a row has the same name"),
        ({"curves": {"SNLI": ["rte.ACX"]}}, r"curves: SNLI: unknown column.*rte\.ACC"),
        ({"curves": {"SNLI": []}}, "expected a list of columns"),
    ],
)
def test_what_is_wrong_is_said_before_any_run(ladder, changes, message):
    if "stages" in changes:
        changes |= {"rows": {"single": {}}}
    with pytest.raises(UserError, match=f"(?s){message}"):
        load_table(ladder(**changes))


# The curve


def result(use: str, rows: int, **config: Any) -> dict[str, Any]:
    return {"use": [use], "config": config, "data": {f"{use}_train": {"rows": rows}}}


def test_a_columns_place_is_the_number_of_examples_trained_on(make):
    column = load_table(make(columns=COLUMNS)).columns[0]
    assert training_examples(column, [result("mrpc", 5)]) is None
    assert training_examples(column, [result("mrpc", 5), result("rte", 98)]) == 98
    assert training_examples(column, [result("rte", 98, **{"data.train_limit": 50})]) == 50
    limits = {"data.train_limit": 50, "data.train_limits": {"rte": 70}}
    assert training_examples(column, [result("rte", 98, **limits)]) == 70


def test_the_curve_joins_the_aggregates_over_the_examples(make):
    columns = {"rte.ACC": {"use": ["rte"]}, "mrpc.ACC": {"use": ["mrpc"]}}
    path = make(columns=columns, curves={"NLI": [*columns]}, rows={"first": {}})
    table = load_table(path, seeds=[1, 2])
    runs = plan(table)
    scores = {("mrpc", 1): 80.0, ("mrpc", 2): 90.0, ("rte", 1): 60.0, ("rte", 2): 62.0}
    found = {
        run.hash: result(run.use[0], 900 if run.use == ("mrpc",) else 90)
        | {"scores": {run.use[0]: {"ACC": scores[run.use[0], run.seed]}}}
        for run in runs
    }
    axes = plot_curves(summarize(table, runs, found)).axes[0]
    line = next(line for line in axes.lines if line.get_label() == "first")
    assert sorted(zip(*line.get_data(), strict=True)) == [(90, 61.0), (900, 85.0)]
    assert axes.get_xscale() == "log"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["first"]


def test_a_curve_whose_columns_are_left_out_has_no_panel(make):
    curves = {"A": ["rte.ACC"], "B": ["mrpc.F1"]}
    table = load_table(make(columns=COLUMNS, curves=curves), use=["rte"])
    assert table.panels == {"A": ("rte.ACC",)}

"""mt_dnn.tables without training: the file and the runs it stands for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from data_utils.errors import UserError
from mt_dnn.config.dotted import nest
from mt_dnn.config.run_format import FORMAT, MARKER, NUMERICS
from mt_dnn.tables import command
from mt_dnn.tables.file import load_table
from mt_dnn.tables.plan import plan
from mt_dnn.tables.settings import config_hash, flat_settings


def test_a_run_for_every_row_use_and_seed(make):
    runs = plan(load_table(make()))
    assert [run.name for run in runs[:4]] == [
        "first-rte-1",
        "first-mrpc+rte-1",
        "with_r_s-rte-1",
        "with_r_s-mrpc+rte-1",
    ]
    assert len(runs) == len({run.hash for run in runs}) == 12


def test_columns_that_train_the_same_tasks_share_their_runs(make):
    columns = {"rte.ACC": {"use": ["rte"]}, "rte.F1": {"use": ["rte"]}}
    assert len(plan(load_table(make(columns=columns)))) == 6


def test_only_what_is_computed_identifies_a_run(make):
    def hashes(**changes: Any) -> list[str]:
        return [run.hash for run in plan(load_table(make(**changes), seeds=[1])) if run.use[1:]]

    first, smart = hashes()
    elsewhere = {"system": {"threads": 7}, "data.store_dir": "s", "optim.lr": "0.0001"}
    assert hashes(base={"data.data_dir": "d", **elsewhere}) == [first, smart]
    spelled = {"proximal.weight": 1, "smoothness": {"weight": 1, "epsilon": "1e-5"}}
    assert hashes(rows={"a": {}, "b": spelled}) == [first, smart], "a preset is its numbers"
    changed = hashes(rows={"first": {}, "with_r_s": {"smart": "smart", "smoothness.epsilon": 1}})
    assert changed[0] == first
    assert changed[1] != smart
    assert hashes(base={"data.data_dir": "other"})[0] != first


def test_the_config_that_a_run_leaves_has_the_hash_of_the_plan(make, tmp_path):
    from mt_dnn.config.bounds import resolve_config
    from mt_dnn.config.parser import parse_config
    from mt_dnn.runs.run_dir import config_yaml

    run = plan(load_table(make()))[2]
    values = run.config | {"seed": run.seed, "data.use": list(run.use), "name": "x"}
    (tmp_path / "given.yml").write_text(yaml.safe_dump(nest(values)))
    other = ["--resume", "true", "--trackers", "[]", "--tracker_options.wandb.project", "glue"]
    config = parse_config(["--config", str(tmp_path / "given.yml"), *other])
    (tmp_path / "config.yml").write_text(config_yaml(resolve_config(config)))
    marker = {"format": FORMAT, "numerics": NUMERICS}
    (tmp_path / MARKER).write_text(json.dumps(marker))
    assert config_hash(tmp_path / "config.yml") == run.hash
    (tmp_path / MARKER).write_text(json.dumps(marker | {"numerics": NUMERICS - 1}))
    assert config_hash(tmp_path / "config.yml") != run.hash, "an older version computed another run"


def test_settings_may_be_dotted_or_nested():
    nested = {"a": {"b": 1, "c": {"d": [2]}}, "e": None}
    assert flat_settings(nested) == {"a.b": 1, "a.c.d": [2], "e": None}
    assert nest(flat_settings(nested)) == nested


def test_set_overrides_base_and_sizes_and_rows_override_it(make):
    rows = {"first": {}, "long": {"train.epochs": 9}}
    table = load_table(make(rows=rows), overrides=["train.epochs=1", "optim.lr=1e-3"])
    by_row = {run.row: run.identity for run in plan(table)}
    assert by_row["first"]["train.epochs"] == 1
    assert by_row["first"]["optim.lr"] == 1e-3
    assert by_row["long"]["train.epochs"] == 9
    assert table.sizes == {"train.epochs": "1"}, "what the footer prints"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"row": {}}, "unknown key 'row'. Did you mean 'rows'"),
        ({"rows": None}, "key 'rows' is missing"),
        ({"rows": {"a": {"smart": "smrt"}}}, "row 'a'.*smrt"),
        ({"rows": {"a": {"smoothness.epsilon": -1}}}, "row 'a'.*radius"),
        ({"rows": {"a": {"smoothness.epsilo": 1}}}, "row 'a'.*'smoothness.epsilon'"),
        ({"rows": {"a": {"train": 3}}}, "row 'a': unknown setting 'train'"),
        ({"rows": {"a": {"data.use": ["rte"]}}}, "data.use is set by the table runner"),
        ({"rows": {"a/b": {}}}, "row 'a/b'"),
        ({"columns": {"ACC": {"use": ["rte"]}}}, "dataset.metric"),
        ({"columns": {"rte.ACC": {"use": "rte"}}}, "expected a list of task names"),
        ({"columns": {"rte.ACC": {}}}, "expected a list of task names"),
        ({"seeds": [1, 1]}, "contains a seed twice"),
        ({"seeds": 3}, "not a list of whole numbers"),
        ({"folds": 1}, "folds: 1 is not a whole number of at least 2"),
        ({"folds": True}, "folds: True is not"),
        ({"folds": 5, "test": "wilcoxon"}, "wilcoxon has no correction for folds.*paired_t"),
        ({"base": {"data.folds": 5}}, "data.folds is set by the table runner.*table key folds"),
        ({"rows": {"a": {"data": {"fold": 1}}}}, "data.fold is set by the table runner"),
        ({"aggregate": "max"}, "aggregate: unknown value 'max'.*median"),
        ({"keep_models": "yes"}, "not true or false"),
        ({"base": "nowhere.yml"}, "nowhere.yml does not exist"),
        ({"paper": {"scores": {}}}, "state where the numbers come from"),
        ({"paper": {"source": "x", "scores": {"frist": {}}}}, "unknown row 'frist'"),
        ({"paper": {"source": "x", "scores": {"first": {"rte.F1": 1}}}}, "unknown column"),
        ({"paper": {"source": "x", "scores": {"first": {"rte.ACC": "60?"}}}}, "not a number"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_before_any_run(make, changes, message):
    with pytest.raises(UserError, match=f"(?s){message}"):
        plan(load_table(make(**changes)))


def test_a_misspelt_score_is_found_before_any_run(make, tmp_path):
    tasks = "rte: {data_format: PremiseOnly, task_type: Classification, n_class: 2, metric_meta: [ACC, CMAT]}\n"
    (tmp_path / "tasks.yml").write_text(tasks)
    base = {"data.tasks": str(tmp_path / "tasks.yml")}
    for name, message in (
        ("rte.F1", r"no such score.*rte\.ACC"),
        ("rte.CMAT", "no such score"),
        ("rte.acc", "unknown metric 'acc'"),
    ):
        path = make(base=base, columns={name: {"use": ["rte"]}})
        with pytest.raises(UserError, match=message):
            command.main([str(path), "--out", str(tmp_path / "out")])
    path = make(base=base, columns={"rte.ACC": {"use": ["rtf"]}})
    with pytest.raises(UserError, match="no task 'rtf'"):
        command.main([str(path), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_the_studys_rows_are_what_they_say():
    study = Path(__file__).parents[2] / "experiments" / "smart" / "study2.yml"
    runs = {run.row: run.identity for run in plan(load_table(study, seeds=[1]))}
    weights = ("smoothness.weight", "proximal.weight")
    on = {row: tuple(values.get(name, 0) > 0 for name in weights) for row, values in runs.items()}
    assert {row for row, terms in on.items() if terms == (False, True)} == {
        "d_breg",
        "d_breg_anchor",
    }
    assert {row for row, terms in on.items() if terms == (False, False)} == {"baseline"}
    assert len(runs) == 11
    radii = {row: values.get("smoothness.epsilon") for row, values in runs.items()}
    assert radii["r_s_5e-4"] == radii["r_s_balanced"] == radii["r_s_balanced_0.3"] == 5e-4
    assert runs["r_s_5e-4"]["smoothness.step_size"] == pytest.approx(5e-2)
    assert runs["r_s_balanced_0.3"]["smoothness.balance"] == 0.3
    # rdrop_ascent is rdrop with one step of ascent at 1e-3, and nothing else.
    changed = runs["rdrop"].items() ^ runs["rdrop_ascent"].items()
    names = {name.removeprefix("smoothness.") for name, _ in changed}
    assert names == {"ascent", "epsilon", "noise", "precision", "sigma", "step_size", "steps"}

"""experiments.table without training: the file, the runs it stands for, the figures, what is printed."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from scipy import stats

from data_utils.registry import UserError
from experiments import table as command
from experiments.aggregate import compare, summarize
from experiments.render import NAMES, figure, footer, grids, latex, markdown, table_csv
from experiments.results import append_line, read_results, read_run
from experiments.run_settings import config_hash, flatten, nest
from experiments.table_file import Table, load_table, plan
from experiments.table_runs import start_process

FILE: dict[str, Any] = {
    "title": "A & B",
    "base": {"data": {"data_dir": "d"}, "optim.lr": 1e-4},
    "sizes": {"train.epochs": 2},
    "seeds": [1, 2, 3],
    "rows": {"first": None, "with_r_s": {"smart": "smart"}},
    "columns": {"rte.ACC": {"use": ["rte"]}, "mrpc.F1": {"use": ["mrpc", "rte"]}},
    "paper": {"source": "table 3, best of 3", "scores": {"first": {"rte.ACC": 60.0}}},
}
SCORES = {"first": [50.0, 52.0, 57.0], "with_r_s": [53.0, 56.0, 58.0]}


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    """``make(rows={...})``: the table file with other entries; None leaves one out."""

    def write(**changes: Any) -> Path:
        path = tmp_path / "t.yml"
        if {"rows", "columns"} & changes.keys():
            changes = {"paper": None} | changes  # its numbers are those of the default rows
        entries = {k: v for k, v in (FILE | changes).items() if v is not None}
        path.write_text(yaml.safe_dump(entries, sort_keys=False))
        return path

    return write


def results(table: Table, scores: dict[str, list[float]] = SCORES) -> dict[str, dict[str, Any]]:
    """Results of all runs of rte, none of the others."""
    found = {}
    for run in plan(table):
        values = scores.get(run.row, [])
        index = table.seeds.index(run.seed)
        if run.use == ("rte",) and index < len(values):
            found[run.hash] = {
                "hash": run.hash,
                "scores": {"rte": {"ACC": values[index], "CMAT": [[1]]}},
                "wall_seconds": 60.0,
                "device": "cpu",
                "commit": "abc",
                "packages": {"torch": "2"},
                "data": {"rte_dev": {"sha256": "x"}},
            }
    return found


# The file and its runs


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
    from mt_dnn.command import parse_config
    from mt_dnn.resolve import resolve_config
    from mt_dnn.run_dir import config_yaml

    run = plan(load_table(make()))[2]
    values = run.config | {"seed": run.seed, "data.use": list(run.use), "name": "x"}
    (tmp_path / "given.yml").write_text(yaml.safe_dump(nest(values)))
    config = parse_config(["--config", str(tmp_path / "given.yml"), "--resume", "true"])
    (tmp_path / "config.yml").write_text(config_yaml(resolve_config(config)))
    assert config_hash(tmp_path / "config.yml") == run.hash


def test_settings_may_be_dotted_or_nested():
    nested = {"a": {"b": 1, "c": {"d": [2]}}, "e": None}
    assert dict(flatten(nested)) == {"a.b": 1, "a.c.d": [2], "e": None}
    assert nest(dict(flatten(nested))) == nested


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
        ({"rows": {"a": {"data.use": ["rte"]}}}, "data.use is the table's own"),
        ({"rows": {"a/b": {}}}, "row 'a/b'"),
        ({"columns": {"ACC": {"use": ["rte"]}}}, "dataset.metric"),
        ({"columns": {"rte.ACC": {"use": "rte"}}}, "name the tasks"),
        ({"columns": {"rte.ACC": {}}}, "name the tasks"),
        ({"seeds": [1, 1]}, "one twice"),
        ({"seeds": 3}, "not a list of whole numbers"),
        ({"aggregate": "max"}, "aggregate: unknown value 'max'.*median"),
        ({"keep_models": "yes"}, "not true or false"),
        ({"base": "nowhere.yml"}, "nowhere.yml does not exist"),
        ({"paper": {"scores": {}}}, "say where the numbers are from"),
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
    study = Path(command.__file__).parent / "smart" / "study.yml"
    runs = {run.row: run.identity for run in plan(load_table(study, seeds=[1]))}
    assert len(runs) == 14
    weights = ("smoothness.weight", "proximal.weight")
    on = {row: tuple(name in values for name in weights) for row, values in runs.items()}
    assert on["baseline"] == (False, False)
    assert on["d_breg"] == (False, True)
    assert on["smart"] == (True, True)
    assert {on[row] for row in runs if row.startswith("r_s")} == {(True, False)}
    radii = [runs[f"r_s_eps_{e}"]["smoothness.epsilon"] for e in ("1e-3", "1e-2", "1e-1", "1")]
    assert radii == [1e-3, 1e-2, 1e-1, 1]
    for values in (values for row, values in runs.items() if row.startswith("r_s_eps")):
        assert values["smoothness.step_size"] == 100 * values["smoothness.epsilon"]
        assert values["smoothness.sigma"] == values["smoothness.epsilon"]


# Results


def test_results_are_read_back_and_a_broken_line_is_named(tmp_path):
    append_line(tmp_path / "results.jsonl", {"hash": "a", "seed": 1})
    append_line(tmp_path / "results.jsonl", {"hash": "b", "seed": 2})
    assert [r["seed"] for r in read_results(tmp_path).values()] == [1, 2]
    append_line(tmp_path / "results.jsonl", {"seed": 3})
    with pytest.raises(UserError, match=r"results\.jsonl:3"):
        read_results(tmp_path)


def test_a_folder_of_another_run_is_no_result(make, tmp_path):
    run, other = plan(load_table(make()))[:2]
    values = run.config | {"seed": run.seed, "data.use": list(run.use)}
    (tmp_path / "config.yml").write_text(yaml.safe_dump(nest(values)))
    (tmp_path / "environment.json").write_text('{"commit": "abc"}')
    assert read_run(run, tmp_path) is None, "not finished"
    best = {"scores": {"rte": {"ACC": 1.0}}, "baselines": {}, "step": 4, "average": 1.0}
    (tmp_path / "scores.json").write_text(json.dumps(best))
    result = read_run(run, tmp_path)
    assert result is not None
    assert (result["scores"], result["commit"]) == ({"rte": {"ACC": 1.0}}, "abc")
    assert read_run(other, tmp_path) is None


# Figures


def test_figures_of_a_cell(make):
    table = load_table(make())
    cells = summarize(table, plan(table), results(table)).cells
    first, other = cells["first", "rte.ACC"], cells["with_r_s", "rte.ACC"]
    assert (first.median, first.mean, first.best, first.n) == (52.0, 53.0, 57.0, 3)
    assert first.sd == pytest.approx(13**0.5)  # (9 + 1 + 16) / 2
    assert first.to_paper == 52.0 - 60.0
    assert first.versus_first is None
    assert other.to_paper is None
    versus = other.versus_first
    assert versus.difference == pytest.approx((3 + 4 + 1) / 3)
    # t = mean / (sd / sqrt(n)) of the differences 3, 4, 1, with 2 degrees of freedom
    t = (8 / 3) / ((7 / 3) ** 0.5 / 3**0.5)
    assert versus.p == pytest.approx(2 * stats.t.sf(t, 2))


def test_the_aggregate_is_the_files(make):
    for name, value in (("median", 52.0), ("mean", 53.0), ("best", 57.0)):
        table = load_table(make(aggregate=name))
        cell = summarize(table, plan(table), results(table)).cells["first", "rte.ACC"]
        assert (cell.value, cell.to_paper) == (value, value - 60.0)


def test_pairs_are_the_seeds_that_both_have():
    versus = compare({1: 5.0, 2: 7.0, 4: 9.0}, {2: 4.0, 1: 4.0, 3: 0.0}, test="paired_t")
    assert (versus.difference, versus.n) == (2.0, 2)
    assert versus.p is None, "no test below three pairs"
    assert compare({1: 5.0}, {2: 5.0}, test="paired_t") is None
    assert compare({}, {}, test="paired_t") is None


@pytest.mark.parametrize("test", ["paired_t", "wilcoxon"])
@pytest.mark.parametrize("step", [0.0, 0.7])
def test_equal_differences_have_no_p(test, step):
    first = {seed: 10.0 + seed for seed in range(5)}
    scores = {seed: value + step for seed, value in first.items()}
    assert compare(scores, first, test=test).p is None


def test_wilcoxon_of_differences_of_one_sign():
    first = dict.fromkeys(range(5), 10.0)
    scores = {seed: 11.0 + seed for seed in range(5)}
    assert compare(scores, first, test="wilcoxon").p == pytest.approx(2 / 2**5)


def test_what_is_missing_is_never_a_number(make):
    table = load_table(make())
    summary = summarize(table, plan(table), results(table, {"first": [50.0]}))
    assert len(summary.missing) == 11
    overview, rte, mrpc = grids(summary)
    assert overview.rows == [["first", "50.00 (n = 1)", "—"], ["with_r_s", "—", "—"]]
    assert rte.rows[0] == ["first", "1/3", "50.00", "50.00", "50.00", "60.00", "−10.00", "", ""]
    assert rte.rows[1] == ["with_r_s", "0/3", *["—"] * 7]
    assert "0.00" not in "".join(map("".join, mrpc.rows))
    lines = list(csv.DictReader(table_csv(summary).splitlines()))
    assert [line["median"] for line in lines] == ["50.0", "", "", ""]
    assert lines[1]["n"] == "0"
    figure(summary)


def test_results_of_other_settings_are_not_mixed_in(make):
    table = load_table(make())
    old = results(table)
    table = load_table(make(rows={"first": {}, "with_r_s": {"smart": "smart", "optim.lr": 1}}))
    summary = summarize(table, plan(table), old)
    assert summary.cells["first", "rte.ACC"].n == 3
    assert summary.cells["with_r_s", "rte.ACC"].n == 0
    assert summary.others == 3
    assert "3 results of runs with other settings" in "\n".join(footer(summary, ""))


# What is printed


def test_the_footer_tells_the_policy(make):
    table = load_table(make())
    found = results(table)
    text = "\n".join(footer(summarize(table, plan(table), found), "python -m x"))
    for part in (
        "Seeds: 1, 2, 3",
        "best epoch on the dev set",
        "median of 3 seeds",
        "paired t-test",
        "1 tests, not corrected",
        "paper: table 3, best of 3",
        "train.epochs 2",
        "Missing runs: first-mrpc+rte-1",
        "6 runs, 6 min of wall time in all, on cpu; commit abc",
        "`python -m x`",
    ):
        assert part in text
    assert "changed" not in text
    next(iter(found.values()))["data"]["rte_dev"]["sha256"] = "y"
    text = "\n".join(footer(summarize(table, plan(table), found), ""))
    assert "The data changed between runs: rte_dev" in text


def test_markdown_and_latex(make):
    table = load_table(make())
    summary = summarize(table, plan(table), results(table))
    text = markdown(summary, ["note"])
    assert "| with_r_s | 3/3 | 56.00 | 55.67 ± 2.52 | 58.00 | — | — | +2.67 | 0.094 |" in text
    tex = latex(summary, ["50% of `x`"])
    assert (
        r"with\_r\_s & 3/3 & 56.00 & 55.67 $\pm$ 2.52 & 58.00 & --- & --- & +2.67 & 0.094 \\" in tex
    )
    assert r"\caption{A \& B. rte.ACC}" in tex
    assert r"50\% of x" in tex
    assert tex.count(r"\toprule") == tex.count(r"\bottomrule") == 3


def test_rendering_needs_the_file_and_the_results_only_and_repeats_itself(make, tmp_path, capsys):
    path, out = make(), tmp_path / "out"
    with pytest.raises(UserError, match="nothing to render"):
        command.main([str(path), "--out", str(out), "--render_only"])
    out.mkdir()
    for result in results(load_table(path)).values():
        append_line(out / "results.jsonl", result)
    arguments = [str(path), "--out", str(out), "--render_only"]
    assert command.main(arguments) == 0
    shown = capsys.readouterr().out
    assert f"python -m experiments.table {path} --out {out}`" in shown
    first = [(out / name).read_bytes() for name in NAMES]
    assert command.main(arguments) == 0
    assert [(out / name).read_bytes() for name in NAMES] == first
    assert sorted(p.name for p in out.iterdir()) == sorted(["results.jsonl", *NAMES])


def test_use_runs_only_what_trains_these_tasks(monkeypatch):
    chosen: list = []
    monkeypatch.setattr(
        "experiments.table_runs.TableRuns.run_missing", lambda _, runs: chosen.extend(runs) or []
    )
    monkeypatch.setattr(command, "_render", lambda *_: None)
    study = Path(command.__file__).parent / "smart" / "study.yml"
    monkeypatch.chdir(Path(command.__file__).parent.parent)
    assert command.main([str(study), "--use", "stsb", "--only", "baseline", "smart"]) == 0
    assert {(run.row, run.use) for run in chosen} == {("baseline", ("stsb",)), ("smart", ("stsb",))}
    with pytest.raises(UserError, match=r"--use: no column trains 'stsbb'.*'stsb'"):
        command.main([str(study), "--use", "stsbb"])


def test_help_and_planning_need_no_torch():
    code = (
        "import sys; from experiments import table, table_file, table_runs, aggregate, render\n"
        "table_file.plan(table_file.load_table('experiments/smart/study.yml'))\n"
        "assert not {'torch', 'transformers', 'scipy', 'matplotlib'} & set(sys.modules)"
    )
    root = Path(command.__file__).parent.parent
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)


def test_a_run_is_out_of_reach_of_the_terminals_ctrl_c(tmp_path):
    code = "import os; print(os.getsid(0), flush=True)"
    with (tmp_path / "log").open("wb") as log:
        process = start_process([sys.executable, "-c", code], log, dict(os.environ))
        assert process.wait() == 0
    assert int((tmp_path / "log").read_text()) != os.getsid(0)

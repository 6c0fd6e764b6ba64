"""mt_dnn.tables without training: what is printed, and the command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from data_utils.errors import UserError
from mt_dnn.tables import command
from mt_dnn.tables.aggregate import summarize
from mt_dnn.tables.file import load_table
from mt_dnn.tables.pace import Pace
from mt_dnn.tables.plan import plan
from mt_dnn.tables.processes import start_process
from mt_dnn.tables.render import SUFFIXES, footer, latex, markdown
from mt_dnn.tables.results import append_line
from tests.support.table_file import results

ROOT = Path(__file__).parents[2]

# What is printed


def test_the_footer_tells_the_policy(make):
    table = load_table(make())
    found = results(table)
    text = "\n".join(footer(summarize(table, plan(table), found), "python -m x"))
    for part in (
        "Seeds: 1, 2, 3",
        "best evaluation on the dev set",
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


def test_rendering_needs_no_data_and_no_runs_and_repeats_itself(make, tasks, tmp_path, capsys):
    path, out = make(base={"data.tasks": tasks}), tmp_path / "out"
    with pytest.raises(UserError, match="nothing to render"):
        command.main([str(path), "--out", str(out), "--render_only"])
    out.mkdir()
    for result in results(load_table(path)).values():
        append_line(out / "results.jsonl", result)
    arguments = [str(path), "--out", str(out), "--render_only"]
    assert command.main(arguments) == 0
    shown = capsys.readouterr().out
    assert f"mt-dnn table {path} --out {out}`" in shown
    names = [f"{path.stem}{suffix}" for suffix in SUFFIXES]
    first = [(out / name).read_bytes() for name in names]
    assert command.main(arguments) == 0
    assert [(out / name).read_bytes() for name in names] == first
    assert sorted(p.name for p in out.iterdir()) == sorted(["results.jsonl", *names])


def test_rendering_checks_its_columns_as_running_does(make, tasks, tmp_path):
    columns = {"rte.MCC": {"use": ["rte"]}}
    path, out = make(base={"data.tasks": tasks}, columns=columns), tmp_path / "out"
    out.mkdir()
    append_line(out / "results.jsonl", {"hash": "a", "scores": {"rte": {"MCC": 1.0}}})
    for option in ([], ["--render_only"]):
        with pytest.raises(UserError, match=r"column 'rte\.MCC': no such score.*rte\.ACC"):
            command.main([str(path), "--out", str(out), *option])
    assert [path.name for path in out.iterdir()] == ["results.jsonl"]


# The command


def test_use_runs_only_what_trains_these_tasks(monkeypatch):
    chosen: list = []
    monkeypatch.setattr(
        "mt_dnn.tables.runs.TableRuns.run_missing", lambda _, runs: chosen.extend(runs) or []
    )
    monkeypatch.setattr(command, "_render", lambda *_: None)
    study = ROOT / "experiments" / "smart" / "study2.yml"
    monkeypatch.chdir(ROOT)
    assert command.main([str(study), "--use", "stsb", "--only", "baseline", "rdrop"]) == 0
    assert {(run.row, run.use) for run in chosen} == {("baseline", ("stsb",)), ("rdrop", ("stsb",))}
    with pytest.raises(UserError, match=r"--use: no run trains 'stsbb'.*'stsb'"):
        command.main([str(study), "--use", "stsbb"])


@pytest.mark.parametrize(
    ("value", "options", "threads"), [("3", [], 3), ("2,1", [], 2), ("3", ["--threads", "4"], 4)]
)
def test_omp_num_threads_counts_unless_threads_is_given(monkeypatch, value, options, threads):
    machines: list = []
    monkeypatch.setattr(
        "mt_dnn.tables.runs.TableRuns.run_missing",
        lambda own, _: machines.append(own.machine) or [],
    )
    monkeypatch.setattr(command, "_render", lambda *_: None)
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    monkeypatch.chdir(ROOT)
    study = ROOT / "experiments" / "smart" / "study2.yml"
    assert command.main([str(study), *options]) == 0
    assert machines[0].threads == threads


def test_the_time_left_is_that_of_rows_like_the_remaining_ones(make):
    """A row of SMART takes three times as long as a plain one, and a large task twice as long."""
    rows = {"plain": {}, "smart": {"optim.lr": 1.0}}
    columns = {"rte.ACC": {"use": ["rte"]}, "mnli.ACC": {"use": ["mnli"]}}
    runs = plan(load_table(make(rows=rows, columns=columns, seeds=[1, 2])))
    seconds = {
        **{("plain", ("rte",)): 10, ("plain", ("mnli",)): 20},
        **{("smart", ("rte",)): 30, ("smart", ("mnli",)): 60},
    }
    pace = Pace(jobs=2)
    ended, left = ([run for run in runs if run.seed == seed] for seed in (1, 2))
    pace.add(ended[0], seconds[ended[0].row, ended[0].use])
    assert pace.left(left) == len(left) * 10 / 2  # nothing else is known
    for run in ended[1:]:
        pace.add(run, seconds[run.row, run.use])
    assert pace.left(left) == sum(seconds.values()) / 2
    assert pace.left([run for run in left if run.row == "smart"][:1]) == 30  # one job is idle
    assert pace.left([]) == 0


def test_help_and_planning_need_no_torch():
    code = (
        "import sys\n"
        "from mt_dnn.tables import aggregate, command, file, plan, render, runs\n"
        "plan.plan(file.load_table('experiments/smart/study2.yml'))\n"
        "assert not {'torch', 'transformers', 'scipy', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_run_is_out_of_reach_of_the_terminals_ctrl_c(tmp_path):
    code = "import os; print(os.getsid(0), flush=True)"
    with (tmp_path / "log").open("wb") as log:
        process = start_process([sys.executable, "-c", code], log, dict(os.environ))
        assert process.wait() == 0
    assert int((tmp_path / "log").read_text()) != os.getsid(0)

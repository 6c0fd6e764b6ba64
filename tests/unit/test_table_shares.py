"""Shares of a table, and merging their results."""

from __future__ import annotations

import re
import shlex

import pytest

from data_utils.errors import UserError
from mt_dnn.tables import command
from mt_dnn.tables.file import load_table
from mt_dnn.tables.merge import merge
from mt_dnn.tables.plan import plan
from mt_dnn.tables.results import append_line, read_results
from mt_dnn.tables.runs import Machine, TableRuns
from mt_dnn.tables.shares import Share, runs_of
from tests.support.documents import ROOT, blocks
from tests.support.table_file import results

LADDER = {
    "seeds": [1, 2, 3],
    "stages": {"s": {"use": ["rte", "mrpc"]}},
    "rows": {"alone": {}, "same": {}, "tuned": {"start": "s"}, "more": {"start": "tuned"}},
    "columns": {"rte.ACC": {"use": ["rte"]}, "mrpc.F1": {"use": ["mrpc"]}},
}


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("changes", [{}, LADDER])
def test_every_run_is_in_one_share(make, changes, count):
    runs = plan(load_table(make(**changes)))
    shares = [runs_of(Share(index, count), runs) for index in range(1, count + 1)]
    assert sum(map(len, shares)) == len(runs)
    hashes = [{run.hash for run in share} for share in shares]
    assert sum(map(len, hashes)) == len(set().union(*hashes)) == len({run.hash for run in runs})
    for share in shares:
        assert all(run.start is None or run.start in share for run in share)
        assert share == sorted(share, key=runs.index), "in the order of the plan"
    # The ladder's groups: 3 of a seed's stage with 4 runs that start from it, 6 of one run.
    spread = {1: 0, 2: 1, 3: 0, 5: 2, 8: 4}[count] if changes else 1
    assert max(map(len, hashes)) - min(map(len, hashes)) <= spread


def test_a_share_depends_on_the_plan_alone(make, tmp_path, tasks, monkeypatch):
    """Not on --only and not on what has finished."""
    path = make(base={"data.tasks": tasks})
    chosen: list = []
    monkeypatch.setattr(
        TableRuns, "run_missing", lambda self, runs: chosen.append((self, runs)) or []
    )
    own = {run.name for run in runs_of(Share(2, 3), plan(load_table(path)))}
    line = [str(path), "--out", str(tmp_path / "out"), "--shard", "2/3"]
    assert command.main(line) == 0
    assert command.main([*line, "--only", "first"]) == 0
    assert {run.name for run in chosen[0][1]} == own
    assert {run.name for run in chosen[1][1]} == {n for n in own if n.startswith("first")}
    table_runs = chosen[0][0]
    assert table_runs.results == tmp_path / "out" / "results-2-of-3.jsonl"
    assert table_runs.attempts == tmp_path / "out" / "attempts-2-of-3.jsonl"
    assert not (tmp_path / "out").exists(), "a share renders nothing"


@pytest.mark.parametrize("text", ["0/2", "3/2", "2", "a/b", "1/0", "-1/2", "1/2/3"])
def test_what_is_no_share_is_refused(make, text, capsys):
    with pytest.raises(SystemExit):
        command.main([str(make()), f"--shard={text}"])
    assert "is not a share such as 2/8" in capsys.readouterr().err


def test_a_share_is_not_rendered(make):
    with pytest.raises(UserError, match="--shard runs a share and renders nothing"):
        command.main([str(make()), "--shard", "1/2", "--render_only"])


def test_shares_in_one_folder_are_read_together(make, tmp_path):
    found = [*results(load_table(make())).values()]
    for number, result in enumerate(found):
        append_line(tmp_path / f"results-{number % 2 + 1}-of-2.jsonl", result)
    assert read_results(tmp_path).keys() == {result["hash"] for result in found}
    runs = TableRuns(tmp_path, Machine(), share=Share(1, 2), print_line=lambda _: None)
    done = [run for run in plan(load_table(make())) if run.use == ("rte",)]
    assert runs.run_missing(done) == []
    assert runs.done == read_results(tmp_path).keys(), "also what other shares have done"


def test_merging_adds_what_is_not_there(make, tmp_path):
    found = [*results(load_table(make())).values()]
    out, other = tmp_path / "out", tmp_path / "other.jsonl"
    for result in found[:3]:
        append_line(other, result)
    assert (merge(out, [other]).added, len(read_results(out))) == (3, 3)
    for result in found[3:]:
        append_line(other, result)
    again = tmp_path / "again.jsonl"
    append_line(again, found[0])
    merged = merge(out, [other, again, out / "results.jsonl"])
    assert (merged.added, merged.known, merged.conflicts) == (3, 4 + 3, [])
    assert read_results(out) == {result["hash"]: result for result in found}


def test_a_conflict_is_reported_and_the_first_result_counts(make, tasks, tmp_path, capsys):
    path = make(base={"data.tasks": tasks})
    out, other = tmp_path / "out", tmp_path / "other.jsonl"
    for run in plan(load_table(path))[:1]:
        own = results(load_table(path))[run.hash] | {"run": run.name}
        for place, score in ((out / "results.jsonl", 50.0), (other, 51.5)):
            place.parent.mkdir(exist_ok=True)
            append_line(place, own | {"scores": {"rte": {"ACC": score}}})
    line = [str(path), "--out", str(out), "--render_only"]
    assert command.main([*line, "--merge", str(other)]) == 0
    shown = capsys.readouterr().out
    assert (
        f"{other}:1: run first-rte-1 ({run.hash}): rte.ACC is 51.5, but 50.0 in {out}/results.jsonl:1"
    ) in shown
    assert "| first | 50.00 (n = 1) |" in (out / "t.md").read_text()
    assert "several results" not in (out / "t.md").read_text()
    other.rename(out / "results-1-of-2.jsonl")
    assert command.main(line) == 0
    note = "several results with different scores, of which the last line counts: first-rte-1."
    assert note in (out / "t.md").read_text()
    assert "| first | 50.00 (n = 1) |" in (out / "t.md").read_text(), "results.jsonl is the last"


def test_what_cannot_be_merged_leaves_everything_as_it_is(make, tasks, tmp_path):
    path, good, bad = make(base={"data.tasks": tasks}), tmp_path / "good", tmp_path / "bad"
    append_line(good, {"hash": "a", "scores": {}})
    bad.write_text('{"hash": "b", "scores": {"x": {"ACC": NaN}}}\n')
    for name, message in (("bad", "bad:1: NaN is not a finite"), ("none", "none cannot be read")):
        line = [str(path), "--out", str(tmp_path / "out"), "--merge", str(good)]
        with pytest.raises(UserError, match=message):
            command.main([*line, str(tmp_path / name)])
    assert not (tmp_path / "out").exists()


def test_the_commands_for_clusters_parse():
    """Those of the documents, with the variables of Slurm and GNU parallel filled in."""
    shown = "\n".join(blocks(ROOT / "docs" / "tables.md", "bash")).replace("\\\n", " ")
    lines = re.findall(r"mt-dnn table ([^#\n\":]*)", shown)
    assert len(lines) >= 4
    for line in lines:
        words = re.sub(r"\$SLURM_ARRAY_TASK_ID|\{\}|\{%\}", "1", line)
        assert command._parse(shlex.split(words)).table.endswith(".yml")

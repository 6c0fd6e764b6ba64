"""Rows with a search: its runs, the choice on dev, the footer."""

from __future__ import annotations

import pytest
import yaml

from data_utils.errors import UserError
from mt_dnn.tables.aggregate import summarize
from mt_dnn.tables.file import load_table
from mt_dnn.tables.paper_grid import paper_markdown
from mt_dnn.tables.plan import plan
from mt_dnn.tables.render import footer, latex, markdown
from mt_dnn.tables.search import Search, search_of
from tests.support.tex import check_tex

GRID = {"optim.lr": ["1e-5", 5e-5, 1e-4], "batch": {"size": [16, 32]}}
COLUMNS = {"rte.ACC": {"use": ["rte"]}, "mrpc.F1": {"use": ["mrpc"]}}
TABLE = {
    "columns": COLUMNS,
    "seeds": [1, 2],
    "rows": {"first": {"optim.lr": 1e-4, "batch.size": 16}, "found": {"search": GRID}},
}


def load(make, **changes):
    return load_table(make(**(TABLE | changes)))


def results_of(runs, dev):
    """Results in which ``dev(run)`` is the dev score, and the columns are 10 above it."""
    found = {}
    for run in runs:
        if (score := dev(run)) is not None:
            found[run.hash] = {
                "average": score,
                "scores": {task: {"ACC": score + 10, "F1": score + 10} for task in run.use},
                **{"use": [*run.use], "wall_seconds": 1.0, "device": "cpu", "commit": "c"},
                **{"packages": {"torch": "2"}, "data": {}},
            }
    return found


def lr(run):
    return run.identity.get("optim.lr", 5e-5)


# The file and the runs


def test_every_combination_is_a_run_of_every_seed_and_task(make):
    table = load(make)
    runs = [run for run in plan(table) if run.row == "found"]
    assert len({run.name for run in runs}) == len(runs) == 3 * 2 * 2 * 2
    points = {(lr(run), run.config["batch.size"]) for run in runs}
    assert points == {(rate, size) for rate in (1e-5, 5e-5, 1e-4) for size in (16, 32)}
    run = next(run for run in runs if run.use == ("rte",) and run.seed == 1)
    assert run.name == f"found-rte-1-{run.hash[:8]}"


def test_a_run_is_the_same_in_and_out_of_a_search(make):
    """So results from before the search are taken."""
    runs = plan(load(make))
    alone = {run.hash for run in runs if run.row == "first"}
    assert len(alone) == 4
    assert alone < {run.hash for run in runs if run.row == "found"}


def test_a_random_part_depends_on_its_values_and_its_seed_alone():
    grid = {"optim.lr": ("1e-5", "2e-5", "5e-5", "1e-4"), "batch.size": (8, 16, 32, 64)}
    few, more = Search(grid, 4).points, Search(grid, 9).points
    assert (len(few), len(more)) == (4, 9)
    assert all(point in more for point in few), "more trials contain the fewer ones"
    assert [p for p in Search(grid).points if p in more] == more, "in the order of the grid"
    assert Search(grid, 4, sample=1).points != few
    spelled = {"batch.size": ("8", 16, 32, 64), "optim.lr": (1e-5, 2e-5, 5e-5, 0.0001)}
    again = [(float(p["optim.lr"]), float(p["batch.size"])) for p in Search(spelled, 4).points]
    assert sorted(again) == sorted((float(p["optim.lr"]), p["batch.size"]) for p in few)
    drawn = [tuple(p.values()) for n in range(50) for p in Search(grid, 4, n).points]
    assert len(set(drawn)) == 16, "every combination can be drawn"


def test_a_search_overrides_the_other_settings_and_an_override_file_replaces_it(make, tmp_path):
    def loaded(rows):
        path = tmp_path / "o.yml"
        path.write_text(yaml.safe_dump({"settings": {"optim.lr": 7}, "rows": rows}))
        return load_table(make(**TABLE), override=path)

    runs = [run for run in plan(loaded({})) if run.row == "found"]
    assert {lr(run) for run in runs} == {1e-5, 5e-5, 1e-4}
    table = loaded({"found": {"search": {"batch.size": [4, 8]}}})
    assert {(lr(r), r.config["batch.size"]) for r in plan(table) if r.row == "found"} == {
        *((7, 4), (7, 8))
    }
    table = loaded({"found": {"search": None}})
    assert {lr(run) for run in plan(table) if run.row == "found"} == {7}
    assert table.find("found").search is None


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ([1], r"\[1\] is not a mapping"),
        ({}, "name settings with their values"),
        ({"trials": 2}, "name settings with their values"),
        ({"optim.rate": [1]}, "unknown setting 'optim.rate'"),
        ({"optim.lr": 1e-4}, "optim.lr: 0.0001 is not a list of values"),
        ({"optim.lr": []}, r"optim.lr: \[\] is not a list of values"),
        ({"optim.lr": ["1e-4", 1e-4]}, "contains a value twice"),
        ({"seed": [1, 2]}, "seed is set by the table runner"),
        ({"data.tasks": ["a", "b"]}, "data.tasks cannot be searched; write a row"),
        ({"optim.lr": [1, 2], "trials": 3}, "trials: 3 is not a whole number from 1 to 2"),
        ({"optim.lr": [1, 2], "trials": True}, "trials: True is not"),
        ({"optim.lr": [1, 2], "sample": "x"}, "sample: 'x' is not a whole number"),
        ({"train.epochs": [*range(1, 400)], "batch.size": [*range(1, 400)]}, "159201 combinations"),
    ],
)
def test_mistakes_in_a_search_are_refused(search, message):
    with pytest.raises(UserError, match=f"^w: .*{message}"):
        search_of(search, "w")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": {"a": {"optim.lr": 1, "search": GRID}}}, "optim.lr is a setting of the row and"),
        (
            {"rows": {"a": {"search": GRID}, "b": {"start": "a"}}},
            "'b': start: row 'a' has a search",
        ),
        ({"stages": {"s": {"use": ["rte"], "search": GRID}}}, "stage 's': search: only rows"),
        ({"rows": {"a": {"search": {"smoothness.epsilon": [1, -1]}}}}, "row 'a'.*radius"),
    ],
)
def test_searches_that_cannot_run_are_refused(make, changes, message):
    with pytest.raises(UserError, match=f"(?s){message}"):
        plan(load(make, **changes))


def test_combinations_that_are_the_same_run_are_refused(make):
    rows = {"a": {"smart": "smart", "search": {"smoothness.weight": [None, 1]}}}
    with pytest.raises(UserError, match=r"weight None and .*weight 1 are the same run"):
        plan(load(make, rows=rows))


def test_runs_with_a_search_start_from_a_stage(make):
    rows = {"a": {"start": "s", "search": {"optim.lr": [1, 2]}}}
    runs = plan(load(make, rows=rows, stages={"s": {"use": ["rte", "mrpc"]}}))
    assert [run.row for run in runs].count("s") == 2
    assert all(
        run.start.row == "s" and run.start.seed == run.seed for run in runs if run.row == "a"
    )


# The choice


def test_the_best_mean_over_seeds_is_chosen_for_each_task(make):
    table = load(make)
    runs = plan(table)

    def dev(run):
        if run.use == ("mrpc",):
            return 60.0 + run.seed + (lr(run) == 1e-5) + run.config["batch.size"] / 100
        lucky = 20.0 if (lr(run), run.seed) == (1e-5, 1) else 0.0  # but bad with the other seed
        return 50.0 + lucky - (30.0 if lr(run) == 1e-5 and run.seed == 2 else 0.0) - lr(run)

    summary = summarize(table, runs, results_of(runs, dev))
    chosen = {choice.use: choice.chosen.settings for choice in summary.choices}
    assert chosen == {
        ("rte",): {"optim.lr": 5e-5, "batch.size": 16},  # of equal ones the first
        ("mrpc",): {"optim.lr": "1e-5", "batch.size": 32},
    }
    cell = summary.cells["found", "mrpc.F1"]
    assert [*cell.scores.values()] == pytest.approx([60 + s + 1 + 0.32 + 10 for s in (1, 2)])
    assert cell.versus.n == 2
    text = "\n".join(footer(summary, ""))
    assert "best mean over all seeds of the dev score" in text
    assert "all 6 combinations of optim.lr {1e-05, 5e-05, 0.0001}, batch.size {16, 32}" in text
    assert "rte: optim.lr 5e-05, batch.size 16 (dev 50.00), 6 trials" in text
    assert "mrpc: optim.lr 1e-05, batch.size 32 (dev 62.82), 6 trials" in text
    assert "24 runs, " in text, "all trials; one combination is also the other row"
    page = markdown(summary, [])
    assert "## Search of found: rte" in page
    assert "| optim.lr 1e-05, batch.size 32 | 2/2 | 62.82 ± 0.71 | chosen |" in page
    check_tex(latex(summary, []))
    page = paper_markdown(summary, footer(summary, ""))
    assert "found: the best on dev of 6 combinations of settings." in page
    assert "Search of found" in page


def test_a_combination_counts_when_all_its_runs_have_finished(make):
    table = load(make)
    runs = plan(table)

    def summary_of(missing):
        return summarize(
            table,
            runs,
            results_of(
                runs, lambda r: None if missing(r) else 50 + 1e5 * lr(r) * (r.use == ("rte",))
            ),
        )

    summary = summary_of(lambda run: lr(run) == 1e-4 and run.seed == 2)
    assert summary.choices[0].chosen.settings == {"optim.lr": 5e-5, "batch.size": 16}
    assert "rte: optim.lr 5e-05, batch.size 16 (dev 55.00), 4 of 6 trials finished" in "\n".join(
        footer(summary, "")
    )
    summary = summary_of(lambda run: run.seed == 2)
    assert summary.choices[0].chosen is None
    assert summary.cells["found", "rte.ACC"].scores == {}
    assert "rte: none yet, 0 of 6 trials finished" in "\n".join(footer(summary, ""))


def test_results_of_older_versions_are_compared_by_their_columns(make):
    table = load(make, columns={"rte.ACC": {"use": ["rte"]}, "rte.ECE": {"use": ["rte"]}})
    runs = plan(table)
    found = results_of(runs, lambda run: 50.0)
    for run in runs:
        scores = {"ACC": 50.0, "ECE": 10.0 + (lr(run) != 1e-4)}
        found[run.hash]["scores"] = {"rte": scores}
    choice = summarize(table, runs, found).choices[0]
    assert choice.chosen.settings == {"optim.lr": "1e-5", "batch.size": 16}, "all equal: the first"
    del found[runs[0].hash]["average"]
    choice = summarize(table, runs, found).choices[0]
    assert choice.chosen.settings == {"optim.lr": 1e-4, "batch.size": 16}
    assert choice.chosen.mean == 20.0
    for result in found.values():
        result["test"] = ["rte"]
    assert summarize(table, runs, found).choices[0].chosen is None, "never chosen on test"


def test_folds_count_as_seeds_do(make):
    table = load(make, folds=2, seeds=[1], columns={"rte.ACC": {"use": ["rte"]}})
    runs = plan(table)
    by_fold = {1: {1e-5: 90.0}, 2: {1e-5: 10.0}}
    found = results_of(runs, lambda run: by_fold[run.repeat.fold].get(lr(run), 60.0))
    summary = summarize(table, runs, found)
    assert summary.choices[0].chosen.mean == 60.0
    assert "mean over all seeds and folds" in "\n".join(footer(summary, ""))

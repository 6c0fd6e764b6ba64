"""mt_dnn.tables without training: results that are read, figures made of them."""

from __future__ import annotations

import csv
import json

import pytest
import yaml
from scipy import stats

from data_utils.errors import UserError
from mt_dnn.config.dotted import nest
from mt_dnn.config.run_format import FORMAT, MARKER, NUMERICS
from mt_dnn.tables.aggregate import summarize
from mt_dnn.tables.definition import Repeat
from mt_dnn.tables.file import load_table
from mt_dnn.tables.plan import plan
from mt_dnn.tables.render import footer, grids, table_csv
from mt_dnn.tables.results import append_line, read_results, read_run
from mt_dnn.tables.significance import compare
from mt_dnn.tables.table_plots import plot_table
from tests.support.table_file import results

# Results


def test_results_are_read_back_and_a_broken_line_is_named(tmp_path):
    append_line(tmp_path / "results.jsonl", {"hash": "a", "seed": 1, "scores": {}})
    append_line(tmp_path / "results.jsonl", {"hash": "b", "seed": 2, "scores": {}})
    assert [r["seed"] for r in read_results(tmp_path).values()] == [1, 2]
    append_line(tmp_path / "results.jsonl", {"seed": 3})
    with pytest.raises(UserError, match=r"results\.jsonl:3"):
        read_results(tmp_path)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_not_finite_are_refused_with_their_line(make, tmp_path, number):
    finite = '{"hash": "a", "scores": {"x": {"ACC": -1.5e+2}}, "text": "NaN \\" Infinity"}\n'
    path = tmp_path / "results.jsonl"
    path.write_text(finite)
    assert len(read_results(tmp_path)) == 1
    path.write_text(finite + f'{{"hash": "b", "scores": {{"x": {{"ACC": {number}}}}}}}\n')
    with pytest.raises(UserError, match=rf"results\.jsonl:2: {number} is not a finite number"):
        read_results(tmp_path)
    run = finished(plan(load_table(make()))[0], tmp_path)
    text = (tmp_path / "scores.json").read_text()
    (tmp_path / "scores.json").write_text(text.replace("1.0", number, 1))
    with pytest.raises(UserError, match=rf"scores\.json:4: {number} is not a finite number"):
        read_run(run, tmp_path)


def test_numbers_that_are_not_finite_are_not_written(tmp_path):
    scores = {"x": {"ACC": float("nan"), "F1": float("inf")}}
    append_line(tmp_path / "results.jsonl", {"hash": "a", "scores": scores})
    assert read_results(tmp_path)["a"]["scores"] == {"x": {"ACC": None, "F1": None}}


def finished(run, folder):
    """Write the files of the finished run ``run`` to ``folder``."""
    values = run.config | {"seed": run.seed, "data.use": list(run.use)}
    (folder / "config.yml").write_text(yaml.safe_dump(nest(values)))
    (folder / MARKER).write_text(json.dumps({"format": FORMAT, "numerics": NUMERICS}))
    (folder / "environment.json").write_text('{"commit": "abc"}')
    best = {"scores": {"rte": {"ACC": 1.0}}, "baselines": {}, "step": 4, "average": 1.0}
    (folder / "scores.json").write_text(json.dumps(best, indent=2))
    return run


def test_a_folder_of_another_run_is_no_result(make, tmp_path):
    run, other = plan(load_table(make()))[:2]
    finished(run, tmp_path)
    (tmp_path / "scores.json").rename(tmp_path / "later.json")
    assert read_run(run, tmp_path) is None, "not finished"
    (tmp_path / "later.json").rename(tmp_path / "scores.json")
    result = read_run(run, tmp_path)
    assert result is not None
    assert (result["scores"], result["commit"]) == ({"rte": {"ACC": 1.0}}, "abc")
    assert read_run(other, tmp_path) is None


# Numbers of a cell


def by_seed(scores: dict[int, float]) -> dict[Repeat, float]:
    return {Repeat(seed): score for seed, score in scores.items()}


def test_numbers_of_a_cell(make):
    table = load_table(make())
    cells = summarize(table, plan(table), results(table)).cells
    first, other = cells["first", "rte.ACC"], cells["with_r_s", "rte.ACC"]
    assert (first.median, first.mean, first.best, first.n) == (52.0, 53.0, 57.0, 3)
    assert first.sd == pytest.approx(13**0.5)  # (9 + 1 + 16) / 2
    assert first.to_paper == 52.0 - 60.0
    assert first.versus is None
    assert other.to_paper is None
    versus = other.versus
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
    versus = compare(
        by_seed({1: 5.0, 2: 7.0, 4: 9.0}), by_seed({2: 4.0, 1: 4.0, 3: 0.0}), test="paired_t"
    )
    assert (versus.difference, versus.n) == (2.0, 2)
    assert versus.p is None, "no test below three pairs"
    assert compare(by_seed({1: 5.0}), by_seed({2: 5.0}), test="paired_t") is None
    assert compare({}, {}, test="paired_t") is None


@pytest.mark.parametrize("test", ["paired_t", "wilcoxon"])
@pytest.mark.parametrize("step", [0.0, 0.7])
def test_equal_differences_have_no_p(test, step):
    first = by_seed({seed: 10.0 + seed for seed in range(5)})
    scores = {repeat: value + step for repeat, value in first.items()}
    assert compare(scores, first, test=test).p is None


def test_wilcoxon_of_differences_of_one_sign():
    first = by_seed(dict.fromkeys(range(5), 10.0))
    scores = by_seed({seed: 11.0 + seed for seed in range(5)})
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
    plot_table(summary)


def test_results_of_other_settings_are_not_mixed_in(make):
    table = load_table(make())
    old = results(table)
    table = load_table(make(rows={"first": {}, "with_r_s": {"smart": "smart", "optim.lr": 1}}))
    summary = summarize(table, plan(table), old)
    assert summary.cells["first", "rte.ACC"].n == 3
    assert summary.cells["with_r_s", "rte.ACC"].n == 0
    assert summary.others == 3
    assert "3 results of runs with other settings" in "\n".join(footer(summary, ""))

"""The page of a run: its sections, what it escapes, and what it does with damaged files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from data_utils.errors import UserError
from mt_dnn.reports.command import main
from mt_dnn.reports.curves import curve_charts
from mt_dnn.reports.page import read_runs, render, write_report
from mt_dnn.reports.run_record import read_run
from tests.support.report_runs import (
    ERRORS,
    EVIL,
    SCORES,
    Page,
    full_run,
    old_run,
)

ALL = ["Scores", "Learning curves", "Predictions", "Mixture and speed", "SMART's health"]
ALL += ["Configuration", "Provenance"]


def page_of(*folders: Path) -> Page:
    return Page(render(read_runs(folders)))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return full_run(tmp_path / "demo")


def test_a_run_has_all_sections(run):
    page = page_of(run)
    assert page.titles == ALL
    assert len(render(read_runs([run]))) < 100_000


def test_an_old_run_has_a_page_without_predictions(tmp_path):
    page = page_of(old_run(tmp_path / "old"))
    assert page.titles == [title for title in ALL if title != "Predictions"]
    assert "95%" not in page.text


def test_a_run_that_has_only_its_configuration_has_a_page(tmp_path):
    folder = old_run(tmp_path / "new")
    for path in folder.iterdir():
        if path.name != "config.yml":
            path.unlink()
    page = page_of(folder)
    assert page.titles == ["Configuration"]
    assert "the run has not finished" in page.text


def test_the_page_needs_no_network_and_no_script(run):
    html = render(read_runs([run, run]))
    page = Page(html)
    assert "script" not in {tag for tag, _ in page.tags}
    assert "://" not in html
    targets = {
        value for _, attrs in page.tags for key, value in attrs.items() if key in ("href", "src")
    }
    assert targets
    assert all(str(target).startswith("#") for target in targets)
    ids = {f"#{attrs['id']}" for _, attrs in page.tags if "id" in attrs}
    assert targets <= ids
    policy = next(attrs["content"] for tag, attrs in page.tags if "http-equiv" in attrs)
    assert str(policy).startswith("default-src 'none'")


def test_texts_of_the_data_are_escaped(run):
    html = render(read_runs([run]))
    page = Page(html)
    assert page.text.count(EVIL) == 3  # two predictions and the command
    assert "<script" not in html
    assert "{{ 7 * 7 }}" in html


def test_names_are_escaped_in_attributes(run):
    text = (run / "scores.json").read_text().replace('"same"', '"\\"><script>"')
    (run / "scores.json").write_text(text)
    html = render(read_runs([run]))
    assert "<script" not in html
    assert any('"><script>' in (attrs.get("title") or "") for _, attrs in Page(html).tags)


def test_scores_have_their_interval_baseline_and_remark(run):
    rows = Page(render(read_runs([run]))).tables[0]
    cells = [[" ".join(cell.split()) for cell in row] for row in rows[1:]]
    assert [row[:4] for row in cells] == [
        ["pair", "ACC", "75.00 [45.50, 91.25]", "50.00"],
        ["sim", "Pearson", "-12.50", "0.00"],
        ["ner", "SeqEval", "0.00", "0.00"],
        ["qa", "EM", "–", "–"],
    ]
    assert [row[5] for row in cells] == [
        "the interval contains the baseline",
        *["not better than the baseline"] * 2,
        "",
    ]


def test_test_sets_have_a_table_of_their_own(run):
    page = page_of(run)
    assert [row[0][0] for row in page.tables[:2]] == ["data set"] * 2
    assert page.tables[1][1][:2] == ["pair_test", "ACC"]
    assert "they selected nothing" in page.text


def test_details_of_the_predictions(run):
    page = page_of(run)
    assert page.rows("name", "precision") == [
        ["same", "75.0", "75.0", "74.9", "4"],
        ["other", "75.0", "75.0", "74.9", "4"],
    ]
    assert page.rows("", "same", "other") == [["same", "3", "1"], ["other", "1", "3"]]
    assert page.rows("gold")[1] == ["2.5 to 5", "4", "-0.5", "0.5", "0.625"]
    assert page.rows("", "examples") == [
        ["with answer", "4", "50.0"],
        ["without answer", "2", "0.0"],
    ]
    assert "overconfident by 20.0 points" in " ".join(page.text.split())
    for text in ("Most confident mistakes (1)", "Least certain predictions (1)"):
        assert text in page.text
    assert "Largest errors (1)" in page.text
    assert "words: B-x predicted as O" in page.text


def test_losses_rates_and_norms_have_their_charts(run):
    tags = ("eval/pair/loss", "train/lr/heads", "train/lr/encoder", "train/sim/grad_norm")
    before = {chart.title: chart for chart in curve_charts(read_run(run))}
    assert [line.name for line in before["learning rate"].lines] == ["learning rate"]
    assert [line.name for line in before["sim: loss"].lines] == ["train"]
    assert "gradient norm" not in before  # null in the file
    with (run / "metrics.jsonl").open("a") as stream:
        stream.write(json.dumps({"step": 30} | dict.fromkeys(tags, 0.5)) + "\n")
    charts = {
        chart.title: [line.name for line in chart.lines] for chart in curve_charts(read_run(run))
    }
    assert charts == {
        "pair": ["ACC"],
        "sim": ["Pearson"],
        "pair: loss": ["train", "dev pair"],
        "sim: loss": ["train"],
        "learning rate": ["heads", "encoder"],
        "gradient norm": ["sim"],
    }


def test_smarts_health_has_a_sentence_for_each_number(run):
    page = page_of(run)
    assert page.rows("task", "rho of R_s")[0] == [
        *("pair", "7.5e-06 → 2.5e-06cannot act", "0.1 → 0.1", "400 → 800", "0.5 → 0.5", "0 → 0")
    ]
    meanings = [tag for tag, _ in page.tags if tag == "dd"]
    assert len(meanings) >= 5
    assert "Above 1 the gradient ascent" in page.text


def test_gradients_between_tasks_have_a_section_where_the_run_compared_them(run):
    assert "Gradients between tasks" not in page_of(run).text
    tags = {"sim/zoo": [0.5, 0.25], "ner/sim": [-0.5, -0.25], "pair/sim": [0.125]}
    with (run / "metrics.jsonl").open("a") as stream:
        for index, conflicts in enumerate((1.0, 0.0)):
            line = {f"train/cosine/{k}": v[index] for k, v in tags.items() if index < len(v)}
            line |= {"step": 30 + index, "train/conflicts": conflicts}
            stream.write(json.dumps(line) + "\n")
    page = page_of(run)
    # In the order of the task file; a task that it lacks comes last, and tasks that never met have no cosine.
    assert page.rows("", "pair") == [
        ["pair", "–", "0.12", "–", "–"],
        ["sim", "0.12", "–", "-0.38", "0.38"],
        ["ner", "–", "-0.38", "–", "–"],
        ["zoo", "–", "0.38", "–", "–"],
    ]
    assert "Gradients combined by sum. Of the pairs of tasks in an update, 50% have" in page.text


def test_the_mixture_is_the_mean_over_the_updates(run):
    assert page_of(run).rows("task", "share of the batches") == [
        ["pair", "75%", "90", "40"],
        ["sim", "25%", "–", "all"],
    ]


def test_settings_differ_from_the_defaults_of_the_preset(run):
    page = page_of(run)
    changed = {row[0]: row[1:] for row in page.rows("setting")}
    assert changed["optim.lr"] == ["0.0002", "5.0e-05"]
    assert changed["smart"] == ["smart", "off"]
    assert changed["smoothness.epsilon"] == ["0.001", "1.0e-05"]
    assert "smoothness.weight" not in changed
    assert "secret-key" not in page.text


def test_several_runs_are_side_by_side(tmp_path):
    runs = [full_run(tmp_path / "one"), full_run(tmp_path / "two", seed=7)]
    path = runs[1] / "scores.json"
    path.write_text(path.read_text().replace('"ACC": 75.0', '"ACC": 87.5'))
    page = page_of(*runs)
    assert page.titles[:4] == ["Scores", "Learning curves", "Differences", "Runs"]
    scores = page.rows("data set", "metric", "baseline", "one", "two")
    assert scores[0] == ["pair", "ACC", "50.00", "75.00 [45.50, 91.25]", "87.50 [45.50, 91.25]"]
    assert scores[-2][0] == "pair_test test"
    assert page.rows("setting", "one") == [["seed", "1", "7"]]
    html = render(read_runs(runs))
    assert re.findall(r'class="n best">([\d.]+)', html) == ["87.50"]


def test_runs_of_one_name_are_told_apart(tmp_path):
    runs = read_runs([old_run(tmp_path / a / "demo") for a in ("x", "y")])
    assert [run.name for run in runs] == ["x/demo", "y/demo"]


def test_the_command_writes_the_page(run, command, tmp_path):
    assert command(lambda: main([str(run)]))[0] == 0
    assert (run / "report.html").read_text() == render(read_runs([run]))
    out = tmp_path / "both.html"
    code, printed, _ = command(lambda: main([str(run), str(run), "--out", str(out)]))
    assert code == 0
    assert str(out) in printed
    assert out.exists()
    code, _, error = command(lambda: main([str(run), str(run)]))
    assert code == 2
    assert "--out is missing" in error


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("scores.json", "{", "scores.json is damaged"),
        ("scores.json", json.dumps(SCORES | {"scores": [1]}), "scores.json is damaged"),
        ("scores.json", json.dumps({"step": 1}), "key 'average' is missing"),
        (
            "scores.json",
            json.dumps(
                SCORES | {"details": {"pair": {"confusion": {"labels": ["a"], "counts": [[1, 2]]}}}}
            ),
            "scores.json is damaged",
        ),
        ("metrics.jsonl", '{"step": 1}\n{"loss": 2}\n', "metrics.jsonl:2 is damaged"),
        ("timing.jsonl", "[]\n", "timing.jsonl:1 is damaged"),
        ("errors/pair.jsonl", json.dumps(ERRORS["pair"][0]) + "\n{}\n", "pair.jsonl:2 is damaged"),
        ("environment.json", "[]", "environment.json is damaged"),
        ("tasks.yml", "pair: 1\n", "tasks.yml is damaged"),
        ("config.yml", "- a\n", "config.yml"),
        ("run.json", '{"format": 99}', "run format 99"),
    ],
)
def test_a_damaged_file_is_named(run, name, text, place):
    (run / name).write_text(text)
    with pytest.raises(UserError, match=re.escape(place)):
        write_report([run])
    assert not (run / "report.html").exists()


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"not a run directory \(no config\.yml in it\)"):
        write_report([tmp_path])
    with pytest.raises(UserError, match="there is no such folder"):
        write_report([tmp_path / "none"])


def test_the_unfinished_line_of_a_killed_process_is_left_out(run):
    path = run / "metrics.jsonl"
    path.write_text(path.read_text() + '{"step": 30, "eval/pair/AC')
    assert page_of(run).titles == ALL

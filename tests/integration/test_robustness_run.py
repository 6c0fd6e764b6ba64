"""``mt-dnn robustness`` on a finished run: its files, its table, its page and its refusals."""

from __future__ import annotations

import json
import shutil

import pytest

from data_utils.errors import UserError
from mt_dnn.robustness import command
from tests.support.report_runs import Page

ARGS = ["--perturb", "swap_letters=1", "drop_words", "--radius", "0.5", "20%", "--attack_rows", "9"]


@pytest.fixture(scope="module")
def copies(run, tmp_path_factory):
    """Two copies of the run, which the command may write to."""
    parent = tmp_path_factory.mktemp("copies")
    return [shutil.copytree(run.folder, parent / name) for name in ("a", "b")]


@pytest.fixture(scope="module")
def measured(run, copies, tmp_path_factory):
    (copies[0] / "report.html").write_text("the page of the run")  # which is renewed
    hans = tmp_path_factory.mktemp("hans") / "hans.tsv"
    hans.write_text(
        "gold_label\tsentence1\tsentence2\theuristic\tsubcase\n"
        + "".join(
            f"{gold}\tgood film\ta good film\tsubsequence\tx\n"
            for gold in ("entailment", "non-entailment")
        )
    )
    command.main([*map(str, copies), *ARGS, "--challenge", f"hans={hans}", "--seed", "3"])
    return [json.loads((copy / "robustness.json").read_text()) for copy in copies]


@pytest.fixture(scope="module")
def page(copies, measured):
    return Page((copies[0] / "report.html").read_text(encoding="utf-8"))


def test_clean_scores_are_those_of_the_run(run, measured):
    scores = json.loads((run.folder / "scores.json").read_text())
    for name, data in measured[0]["datasets"].items():
        assert data["clean"]["metrics"] == scores["scores"][name]
        assert data["clean"]["loss"] == pytest.approx(scores["losses"][name], rel=1e-6)
        calibration = scores["details"][name].get("calibration", {}).get("ece")
        assert data["clean"]["ece"] == pytest.approx(calibration)
    assert set(measured[0]["datasets"]) == set(scores["scores"]) == {"nli", "tone", "sim", "rank"}


def test_all_is_measured_and_the_same_model_gets_the_same_numbers(measured):
    one, other = measured
    assert one == other
    data = one["datasets"]["nli"]
    assert data["rows"] == 13
    assert data["metric"] == "ACC"
    assert data["perturbations"]["swap_letters"]["options"] == {"rate": 1.0}
    assert data["perturbations"]["swap_letters"]["changed"] > 50
    attack = data["attack"]
    assert (attack["rows"], attack["steps"], attack["on_loss"]) == (9, 3, False)
    radii = [point["radius"] for point in attack["points"]]
    assert radii == pytest.approx(sorted([0, 0.5, 0.2 * attack["embedding_rms"]]))
    first, *others = attack["points"]
    assert first["attack"] == first["noise"]
    assert first["attack"]["divergence"] == 0
    for point in others:
        assert point["attack"]["divergence"] > point["noise"]["divergence"] > 0
    assert one["challenges"]["hans"]["metrics"] == {"ACC": 50.0}


def test_the_page_of_a_run_that_has_one_is_renewed(copies, measured, page):
    assert not (copies[1] / "report.html").exists()
    assert "Robustness" in page.titles
    tables = [[[" ".join(cell.split()) for cell in row] for row in table] for table in page.tables]
    texts = [table for table in tables if table[0][0] == "text"]
    clean, swapped, _ = texts[0][1:]
    known = measured[0]["datasets"]["nli"]
    assert float(clean[3]) == pytest.approx(known["clean"]["metrics"]["ACC"], abs=0.005)
    change = (
        known["perturbations"]["swap_letters"]["metrics"]["ACC"] - known["clean"]["metrics"]["ACC"]
    )
    assert float(swapped[4]) == pytest.approx(change, abs=0.05)
    labels = [tag["aria-label"] for name, tag in page.tags if name == "svg" and "aria-label" in tag]
    assert {"ACC over radius", "divergence over radius"} <= set(labels)


@pytest.mark.usefixtures("page")  # read before this test replaces the results
def test_the_table_has_a_column_for_each_run(copies, capsys):
    command.main([*map(str, copies), "--perturb", "lower", "--radius", "--dataset", "tone"])
    shown = capsys.readouterr()
    assert "tone, 13 rows: ACC (change to clean)" in shown.out
    header = next(line for line in shown.out.splitlines() if line.split()[:1] == ["text"])
    assert header.split() == ["text", "rate", "rows", "changed", "a", "b"]
    assert "attack" not in shown.out
    assert "tone, 13 rows, 1 perturbations" in shown.err


def test_what_is_refused(run, copies, tmp_path):
    folder = str(copies[0])
    for args, message in (
        ([str(tmp_path / "none")], "does not exist; name a run directory"),
        ([folder, "--dataset", "nil"], "no scores of 'nil'. Did you mean 'nli'?"),
        ([folder, "--perturb", "swap_leters"], "Did you mean 'swap_letters'?"),
        ([folder, "--radius", "-1"], "--radius: '-1' is not a number of 0 or more"),
    ):
        with pytest.raises(UserError) as caught:
            command.main(args)
        assert message in str(caught.value)


def test_rows_that_are_gone_or_have_changed(run, copies, tmp_path, capsys):
    data = shutil.copytree(run.data, tmp_path / "data")
    moved = shutil.copytree(copies[0], tmp_path / "moved")
    config = moved / "config.yml"
    config.write_text(config.read_text().replace(str(run.data), str(data)))
    rows = data / "tone_dev.tsv"
    rows.write_text("".join(rows.read_text().splitlines(keepends=True)[:-4]))
    brief = ["--perturb", "--radius", "--dataset", "tone"]
    with pytest.raises(UserError, match="have different rows of tone"):
        command.main([str(moved), str(copies[1]), *brief])
    command.main([str(moved), *brief])
    assert "in scores.json: the rows have changed since" in capsys.readouterr().err
    rows.unlink()
    with pytest.raises(UserError, match="the rows of tone are gone"):
        command.main([str(moved), *brief])

"""``mt-dnn compare``: two runs on the same examples, and the details of one."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from data_utils.errors import UserError
from data_utils.files import sha256
from mt_dnn.reports import compare as command_module
from mt_dnn.reports.comparison import Flip, compare_dataset
from mt_dnn.reports.mcnemar import FEW, mcnemar
from mt_dnn.reports.scored_run import read_scored_run
from tests.support.documents import ROOT
from tests.support.written_run import TASKS, lines, write_run

GOLD = list("aabbccaabb")
A = list("aabbccbcaa")  # the first six right
B = list("aabbacaabc")  # loses one, gains three


@pytest.fixture
def runs(tmp_path):
    """``runs(lines of a, lines of b)``: both runs, read."""

    def make(first, second, **given):
        folders = [write_run(tmp_path / n, p, **given) for n, p in (("a", first), ("b", second))]
        return [read_scored_run(str(folder)) for folder in folders]

    return make


@pytest.mark.parametrize(
    ("first", "second", "p"),
    [
        (0, 0, 1.0),
        (1, 5, 2 * (1 + 6) / 2**6),
        (5, 1, 2 * (1 + 6) / 2**6),
        (3, 3, 1.0),
        (0, 10, 2 / 2**10),
        (20, 40, 0.01417),  # chi-squared 19^2 / 60 = 6.0167, one degree of freedom
    ],
)
def test_mcnemar_by_hand(first, second, p):
    found = mcnemar(first, second)
    assert found.p == pytest.approx(p, rel=1e-3)
    assert found.exact == (first + second < FEW)


def test_two_runs_by_hand(runs):
    found = compare_dataset(*runs({"t": lines(GOLD, A)}, {"t": lines(GOLD, B)}), "t")
    assert found.examples == 10
    by_name = {row.metric: row for row in found.metrics}
    assert set(by_name) == {"ACC", "F1MAC", "ECE"}
    assert by_name["ECE"].interval is None
    accuracy = by_name["ACC"]
    assert (accuracy.first, accuracy.second) == (60.0, 80.0)
    assert accuracy.interval is not None
    low, high = accuracy.interval
    assert low < 20 < high
    assert found.test is not None
    assert (found.test.first, found.test.second) == (1, 3)
    assert found.test.p == pytest.approx(2 * (1 + 4) / 2**4)
    assert found.flips == [
        Flip("4", "c", "c", "a", "first"),
        Flip("6", "a", "b", "a", "second"),
        Flip("7", "a", "c", "a", "second"),
        Flip("8", "b", "a", "b", "second"),
    ]
    # Class a: gold 4; run a predicts 4 of which 2 are right, run b 5 of which 4.
    a, _, c = found.classes
    assert (a.name, a.support) == ("a", 4)
    assert (a.first, a.second) == (pytest.approx(50), pytest.approx(800 / 9))
    assert c.support == 2


def test_without_scores_a_metric_of_probabilities_has_no_value(runs, tmp_path, command):
    bare = [{**line, "scores": None} for line in lines(GOLD, A)]
    mixed = [{"scores": [0.8, 0.1, 0.1]} | line for line in lines(GOLD, B)]
    mixed[3]["scores"] = None
    found = compare_dataset(*runs({"t": bare}, {"t": mixed}), "t")
    values = {row.metric: (row.first, row.second) for row in found.metrics}
    assert values["ECE"] == (None, None)
    assert values["ACC"] == (60.0, 80.0)
    code, printed, err = command(command_module.main, tmp_path / "a", tmp_path / "b")
    assert (code, err) == (0, "")
    (line,) = [line for line in printed.splitlines() if "ECE" in line]
    assert line.split() == ["ECE", "no", "scores", "no", "scores", "-"]


def test_details_of_predictions_without_scores(tmp_path, command):
    folder = write_run(
        tmp_path / "a", {"t": [{**line, "scores": None} for line in lines("ab", "aa")]}
    )
    scores = json.loads((folder / "scores.json").read_text())
    (folder / "scores.json").write_text(json.dumps(scores | {"details": {}}))
    code, printed, err = command(command_module.main, folder)
    assert (code, err) == (0, "")
    assert "most frequent confusions" in printed
    assert "calibration" not in printed


def test_examples_are_aligned_by_uid(runs):
    first, second = lines(GOLD, A), lines(GOLD, B)
    straight = compare_dataset(*runs({"t": first}, {"t": second[::-1]}), "t")
    assert [flip.uid for flip in straight.flips or ()] == ["4", "6", "7", "8"]


def test_a_uid_that_occurs_twice_is_two_examples(runs):
    first = [{**line, "uid": "same"} for line in lines("ab", "aa")]
    second = [{**line, "uid": "same"} for line in lines("ab", "ab")]
    found = compare_dataset(*runs({"t": first}, {"t": second}), "t")
    assert found.flips == [Flip("same", "b", "a", "b", "second")]


def test_other_examples_or_labels_are_refused(runs, tmp_path):
    first, second = runs({"t": lines("aab", "aab")}, {"t": lines("aa", "aa")})
    with pytest.raises(UserError, match=r"different examples: 1 are only in .* such as uid '2'"):
        compare_dataset(first, second, "t")
    with pytest.raises(UserError, match=r"0 are only in .* and 1 only in"):
        compare_dataset(second, first, "t")
    third = read_scored_run(str(write_run(tmp_path / "c", {"t": lines("ab", "aa")})))
    with pytest.raises(UserError, match=r"the label of uid '1' differs"):
        compare_dataset(second, third, "t")
    other = TASKS.replace("[a, b, c]", "[b, a, c]")
    fourth = write_run(tmp_path / "d", {"t": lines("aa", "aa")}, tasks=other)
    with pytest.raises(UserError, match=r"labels is .* compared on the same task"):
        compare_dataset(second, read_scored_run(str(fourth)), "t")


def test_numbers_have_no_right_and_wrong(runs):
    gold, other = [1.0, 2.0, 3.0, 4.0], [1.5, 1.0, 3.0, 4.0]
    found = compare_dataset(*runs({"n": lines(gold, other)}, {"n": lines(gold, gold)}), "n")
    assert (found.flips, found.test, found.classes) == (None, None, [])
    pearson, spearman = found.metrics
    assert pearson.second == pytest.approx(100)
    assert pearson.interval is not None
    assert spearman.interval is None  # its ranks are no sums


def test_options_of_a_question_are_not_independent(runs):
    first = [{**line, "uid": f"1-{i}-0"} for i, line in enumerate(lines("ab", "aa"))]
    second = [{**line, "uid": f"1-{i}-0"} for i, line in enumerate(lines("ab", "ab"))]
    of_questions = TASKS.replace("[ACC, F1MAC, ECE]", "[MultiRCEM]")
    found = compare_dataset(*runs({"t": first}, {"t": second}, tasks=of_questions), "t")
    assert found.test is None  # McNemar's test takes independent examples
    assert found.flips is not None
    assert found.metrics[0].interval is None  # of one passage


def test_words_are_compared_by_sentence_and_entity_type(runs):
    gold = [["B-x", "O"], ["B-y"], ["O"]]
    wrong = [["B-x", "O"], ["O"], ["O"]]
    found = compare_dataset(*runs({"w": lines(gold, wrong)}, {"w": lines(gold, gold)}), "w")
    assert found.kind == "entity"
    assert [(one.name, one.first, one.second) for one in found.classes] == [
        ("x", 100.0, 100.0),
        ("y", 0.0, 100.0),
    ]
    assert found.test is None  # the words of a sentence are not independent
    assert found.flips == [Flip("1", ["B-y"], ["O"], ["B-y"], "second")]


def test_questions_on_one_passage_are_drawn_together(runs, tmp_path, monkeypatch):
    gold = [["dog"]] * 6
    first = lines(gold, ["dog"] * 6)
    second = lines(gold, ["dog"] * 3 + ["cat"] * 3)
    one, other = runs({"q": first}, {"q": second})
    alone = compare_dataset(one, other, "q").metrics[0].interval
    (tmp_path / "rows").mkdir()
    rows = [
        {"uid": str(i), "label": "0:::3:::0:::dog", "document": f"dog {i // 3}", "question": "?"}
        for i in range(6)
    ]
    path = tmp_path / "rows" / "q_dev.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.chdir(tmp_path)
    one.sources["q"] = sha256(path)
    together = compare_dataset(one, other, "q").metrics[0].interval
    assert alone is not None
    assert together == (-100.0, 0.0)  # of two passages
    assert alone[0] > -100


def test_the_command_prints_and_writes_every_flip(runs, tmp_path, command):
    runs({"t": lines(GOLD * 4, A * 4)}, {"t": lines(GOLD * 4, B * 4), "n": lines([1.0], [1.0])})
    out = tmp_path / "flips.jsonl"
    folders = (tmp_path / "a", tmp_path / "b")
    code, printed, err = command(command_module.main, *folders, "--out", out)
    assert (code, err) == (0, "")
    assert "flipped: 16, 4 from right to wrong, 12 from wrong to right; the first 10" in printed
    assert "McNemar: right in a only 4, in b only 12; p = 0.0768 (exact)" in printed
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(records) == 16
    assert records[0] == {
        **{"dataset": "t", "uid": "4", "gold": "c", "a": "c", "b": "a", "right": "a"},
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a", "b", "b"], "compare takes one or two run directories, not 3"),
        (["a", "--out", "f"], "--out: it takes the examples that flipped"),
        (["a", "b", "--out", "b/scores.json"], "b/scores.json exists and is no file of flips"),
        (["nowhere"], "nowhere does not exist; name a run directory"),
        (["."], "has no config.yml"),
        (["a", "b"], "have no predictions on a data set in common: t and n"),
        (["a", "--dataset", "tt"], "'tt' is none that the run has. Did you mean 't'"),
    ],
)
def test_a_mistake_is_one_sentence(runs, tmp_path, command, monkeypatch, words, message):
    runs({"t": lines("ab", "ab")}, {"n": lines([1.0], [1.0])})
    monkeypatch.chdir(tmp_path)
    code, _, err = command(command_module.main, *words)
    assert code == 2
    assert message in " ".join(err.split())


def test_a_run_that_has_not_finished_is_refused(runs, tmp_path):
    runs({"t": lines("ab", "ab")}, {"t": lines("ab", "ab")})
    (tmp_path / "a" / "scores.json").unlink()
    with pytest.raises(UserError, match=r"has no scores\.json: finish the run"):
        read_scored_run(str(tmp_path / "a"))
    (tmp_path / "a" / "scores.json").write_text("{")
    with pytest.raises(UserError, match=r"scores\.json is damaged"):
        read_scored_run(str(tmp_path / "a"))


@pytest.mark.parametrize("names", [["a", "b"], ["a"]])
def test_comparing_does_not_import_torch(runs, tmp_path, names):
    runs({"t": lines(GOLD, A)}, {"t": lines(GOLD, B)})
    words = ["compare", *(str(tmp_path / name) for name in names)]
    code = (
        f"import sys\nfrom mt_dnn.cli import main\ntry: main({words!r})\n"
        "except SystemExit as end: print(end.code, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "0 False", done.stdout


def test_a_run_of_an_older_version_gets_its_details_from_its_predictions(runs, tmp_path, command):
    runs({"t": lines(GOLD, A)}, {"t": lines(GOLD, B)})
    path = tmp_path / "a" / "scores.json"
    old = {k: v for k, v in json.loads(path.read_text()).items() if k != "details"}
    path.write_text(json.dumps(old))
    found = read_scored_run(str(tmp_path / "a"))
    detail = found.with_details("t").details["t"]
    assert detail.examples == 10
    assert [row.support for row in detail.classes] == [4, 4, 2]
    assert compare_dataset(found, read_scored_run(str(tmp_path / "b")), "t").test is not None
    code, printed, _ = command(command_module.main, tmp_path / "a")
    assert code == 0
    assert "expected error" in printed
    assert "most frequent confusions" in printed

"""experiments/glue: QNLI's pairs as lists, and a classifier of pairs scored on the lists."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_utils.errors import UserError
from data_utils.formats import Row
from data_utils.registries import FORMATS
from experiments.glue import prepare as glue_prepare
from experiments.glue import ranking
from experiments.glue.prepare import prepare
from experiments.glue.ranking import scores
from mt_dnn.task_types import load_tasks
from tests.support.files import rows, write

HEADER = "index\tquestion\tsentence\tlabel"
YES, NO = "entailment", "not_entailment"
PAIRS = (
    f"3\tWho fell?\tIt rained.\t{NO}",
    f"4\tWho left?\tBo left.\t{YES}",  # a single pair
    f"8\tWho fell?\tAnn fell.\t{YES}",
    f"9\tWho sang?\tNobody.\t{NO}",  # nothing right
    f"10\tWho sang?\tA dog.\t{NO}",
    f"11\tWho fell?\tBo sat.\t{NO}",
    f"12\tWho ran?\tBo ran.\t{YES}",
    f"13\tWho ran?\tIt rained.\t{NO}",
)
LISTS = [
    ["3", "3,8,11", f"{NO},{YES},{NO}", "Who fell?", "It rained.", "Ann fell.", "Bo sat."],
    ["12", "12,13", f"{YES},{NO}", "Who ran?", "Bo ran.", "It rained."],
]


@pytest.fixture
def task():
    return load_tasks(Path(glue_prepare.__file__).parent / "tasks.yml")["qnli_ranking"]


def test_the_pairs_of_a_question_are_a_list_where_some_are_right_and_some_wrong(raw, out, capsys):
    write(raw / "QNLI/dev.tsv", HEADER, *PAIRS)
    prepare(str(raw), str(out), "qnli,qnli_ranking")
    assert rows(out / "qnli_ranking_dev.tsv") == LISTS
    assert len(rows(out / "qnli_dev.tsv")) == len(PAIRS)
    printed = capsys.readouterr().out
    assert "qnli_ranking dev: 2 of 4 questions have right and wrong sentences (5 of 8 pairs)" in (
        printed
    )


def test_the_lists_are_rows_of_the_task(raw, out, task):
    """Its second label is the relevant one."""
    write(raw / "QNLI/train.tsv", HEADER, *PAIRS)
    prepare(str(raw), str(out), "qnli_ranking")
    (line, _) = (out / "qnli_ranking_train.tsv").read_text().splitlines()
    form = FORMATS.get(task.data_format)
    cells = line.split("\t")
    fixed = dict(zip(form.columns, cells[:4], strict=False))
    example = form.parse(Row(fixed | {"hypothesis": cells[4:]}, "here:1"), task)
    assert example.label == [0, 1, 0]
    assert example.extras["ruid"] == ["3", "8", "11"]


def test_the_hubs_labels_have_qnlis_order(out, monkeypatch):
    datasets = pytest.importorskip("datasets")

    def fake_load(name: str, config: str, revision: str | None = None):
        assert (name, config) == ("nyu-mll/glue", "qnli")
        columns = {"question": ["Who ran?"] * 2, "sentence": ["Bo ran.", "It rained."]}
        split = datasets.Dataset.from_dict(columns | {"label": [0, 1], "idx": [12, 13]})
        return datasets.DatasetDict(train=split, validation=split, test=split)

    monkeypatch.setattr(datasets, "load_dataset", fake_load)
    prepare("hub", str(out), "qnli_ranking")
    assert rows(out / "qnli_ranking_dev.tsv") == LISTS[1:]


def predict(path: Path, probabilities: dict[int, float]) -> None:
    write(
        path,
        *(
            json.dumps({"uid": str(uid), "prediction": YES if p > 0.5 else NO, "scores": {YES: p}})
            for uid, p in probabilities.items()
        ),
    )


def test_a_classifier_of_pairs_is_scored_on_the_lists(tmp_path, capsys):
    """It ranks both right sentences, one of them second, and calls one of five pairs wrongly."""
    write(tmp_path / "lists.tsv", *("\t".join(row) for row in LISTS))
    predict(tmp_path / "qnli.jsonl", {3: 0.1, 4: 0.0, 8: 0.3, 11: 0.4, 12: 0.9, 13: 0.2})
    found = scores(str(tmp_path / "qnli.jsonl"), str(tmp_path / "lists.tsv"))
    assert found == pytest.approx({"Top1": 50, "MRR": 75, "ACC": 80})
    assert capsys.readouterr().out == "Top1 50.00, MRR 75.00, ACC 80.00 (2 lists, 5 pairs)\n"


def test_missing_predictions_and_other_files_are_named(tmp_path, command):
    lists, predictions = tmp_path / "lists.tsv", tmp_path / "qnli.jsonl"
    write(lists, *("\t".join(row) for row in LISTS))
    predict(predictions, {3: 0.1, 8: 0.3})
    with pytest.raises(UserError, match=r"lists.tsv:1: pair '11' has no prediction in .*qnli"):
        scores(str(predictions), str(lists))
    write(predictions, '{"uid": "3", "prediction": [1, 0], "scores": [0.5, 0.5]}')
    code, _, err = command(ranking.main, "--predictions", predictions, "--lists", lists)
    assert code == 2
    assert f"error: {predictions}:1: expected a prediction of qnli" in err

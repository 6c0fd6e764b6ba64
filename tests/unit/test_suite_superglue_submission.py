"""experiments/superglue: the diagnostic sets, and predictions of test splits -> SuperGLUE's files."""

from __future__ import annotations

import io
import json
from pathlib import Path
from zipfile import ZipFile

import pytest

from data_utils.errors import UserError
from experiments.superglue import submission as superglue_submission
from experiments.superglue.prepare import prepare
from experiments.superglue.submission import FILES, submission
from tests.support.files import rows, write
from tests.support.scores import score

HERS = {"premise": "Ann told Bo that she had won.", "hypothesis": "Ann won.", "idx": 0}
HIS = HERS | {"premise": "Ann told Bo that he had won.", "idx": 1}
HER = {"premise": "Bo saw her.", "hypothesis": "Bo saw Ann.", "idx": 2}
HIM = HER | {"premise": "Bo saw him.", "idx": 3}


def predict(folder: Path, task: str, predictions: dict) -> None:
    lines = [json.dumps({"uid": uid, "prediction": p}) for uid, p in predictions.items()]
    write(folder / f"{task}_test.jsonl", *lines)


def unzip(path: Path) -> dict[str, list]:
    with ZipFile(io.BytesIO(path.read_bytes())) as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    return {name: [json.loads(line) for line in text.splitlines()] for name, text in texts.items()}


def test_diagnostic_sets_are_test_splits_with_labels(raw, out):
    pair = {"sentence1": "It rains.", "sentence2": "It is wet.", "logic": "", "idx": 5}
    write(raw / "AX-b/AX-b.jsonl", pair | {"label": "not_entailment"})
    records = [r | {"label": "entailment"} for r in (HERS, HIS, HER, HIM)]
    write(raw / "AX-g/AX-g.jsonl", *records)
    prepare(str(raw), str(out), "axb,axg")
    assert rows(out / "axb_test.tsv") == [["5", "not_entailment", "It rains.", "It is wet."]]
    uids = [row[0].split("-") for row in rows(out / "axg_test.tsv")]
    assert [idx for _, idx in uids] == ["0", "1", "2", "3"]
    assert uids[0][0] == uids[1][0] != uids[2][0] == uids[3][0]  # a pair differs in a pronoun


def test_a_pair_id_of_the_file_counts(raw, out):
    write(raw / "AX-g/AX-g.jsonl", *(r | {"label": "entailment", "pair_id": 9} for r in (HER, HIM)))
    prepare(str(raw), str(out), "axg")
    assert [row[0] for row in rows(out / "axg_test.tsv")] == ["9-2", "9-3"]


def test_every_file_has_its_official_form(tmp_path, capsys):
    folder, out = tmp_path / "predictions", tmp_path / "out.zip"
    predict(folder, "boolq", {"10": "true", "9": "false"})
    predict(folder, "cb", {"0": "neutral"})
    predict(folder, "copa", {"0": 1, "1": 0})
    answers = {"7-1-0": "1", "7-0-1": "0", "7-0-0": "1", "12-4-0": "1"}
    predict(folder, "multirc", answers)
    predict(folder, "record", {"4-10": "Bo", "3-11": "Ann"})
    predict(folder, "wic", {"0": "true"})
    predict(folder, "wsc", {"0": "true", "1": "false"})
    for task in ("rte", "axb"):
        predict(folder, task, {"0": "not_entailment"})
    predict(folder, "axg", {"9-0": "entailment", "9-1": "entailment", "5-2": "entailment"})
    submission(str(folder), str(out))
    assert unzip(out) == {
        "BoolQ.jsonl": [{"idx": 9, "label": "false"}, {"idx": 10, "label": "true"}],
        "CB.jsonl": [{"idx": 0, "label": "neutral"}],
        "COPA.jsonl": [{"idx": 0, "label": 1}, {"idx": 1, "label": 0}],
        "MultiRC.jsonl": [
            {
                "idx": 7,
                "passage": {
                    "questions": [
                        {"idx": 0, "answers": [{"idx": 0, "label": 1}, {"idx": 1, "label": 0}]},
                        {"idx": 1, "answers": [{"idx": 0, "label": 1}]},
                    ]
                },
            },
            {
                "idx": 12,
                "passage": {"questions": [{"idx": 4, "answers": [{"idx": 0, "label": 1}]}]},
            },
        ],
        "ReCoRD.jsonl": [{"idx": 10, "label": "Bo"}, {"idx": 11, "label": "Ann"}],
        "RTE.jsonl": [{"idx": 0, "label": "not_entailment"}],
        "WiC.jsonl": [{"idx": 0, "label": "true"}],
        "WSC.jsonl": [{"idx": 0, "label": "True"}, {"idx": 1, "label": "False"}],
        "AX-b.jsonl": [{"idx": 0, "label": "not_entailment"}],
        "AX-g.jsonl": [{"idx": i, "label": "entailment"} for i in range(3)],
    }
    printed = capsys.readouterr().out
    assert "warning: BoolQ.jsonl should have the predictions of 3245 rows" in printed
    assert "AX-g     gender parity: unknown, because pair '5' has 1 rows, not 2" in printed
    assert "missing" not in printed


def test_gender_parity_is_printed_and_equals_the_metric(tmp_path, capsys):
    uids = {f"{i // 2}-{i}": "entailment" for i in range(356)} | {"7-15": "not_entailment"}
    predict(tmp_path, "axg", uids)
    submission(str(tmp_path), str(tmp_path / "out.zip"))
    printed = capsys.readouterr().out
    values = [int(p == "entailment") for p in uids.values()]
    own = score("GenderParity", values, values, uids=list(uids))
    assert own == pytest.approx(100 * 177 / 178)
    assert f"gender parity {own:.2f} (178 pairs)" in printed
    assert "warning" not in printed
    assert "missing: BoolQ.jsonl, CB.jsonl" in printed
    assert "the SuperGLUE server requires all 10 files" in printed


@pytest.mark.parametrize(
    ("task", "uid", "prediction", "message"),
    [
        ("rte", "0", "entails", r"rte_test.jsonl:1: 'entails' is not a label of rte"),
        ("copa", "0", 2, r":1: prediction 2 of copa is neither 0 nor 1"),
        ("copa", "0", [1, 0], r":1: prediction \[1, 0\] of copa is neither"),
        ("record", "1-2", 3, r":1: prediction 3 of record is not a text"),
        ("multirc", "1-2", "0", r':1: expected {"uid": "paragraph-question-answer", "prediction"'),
        ("boolq", "first", "true", r':1: expected {"uid": "idx", "prediction"'),
    ],
)
def test_other_predictions_are_refused_with_their_place(tmp_path, task, uid, prediction, message):
    predict(tmp_path, task, {uid: prediction})
    with pytest.raises(UserError, match=message):
        submission(str(tmp_path), str(tmp_path / "out.zip"))
    assert not (tmp_path / "out.zip").exists()


def test_no_predictions_exit_with_2(tmp_path, command):
    predict(tmp_path, "other", {"0": "true"})
    code, _, err = command(superglue_submission.main, "--predictions", tmp_path)
    assert code == 2
    assert "error: no predictions of SuperGLUE test splits" in err
    assert all(f"{task}_test.jsonl" in err for task in FILES)

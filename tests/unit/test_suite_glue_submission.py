"""experiments/glue: predictions of the test splits -> the files that GLUE takes."""

from __future__ import annotations

import io
import json
from pathlib import Path
from zipfile import ZipFile

import pytest

from data_utils.errors import UserError
from experiments.glue import prepare as glue_prepare
from experiments.glue import submission as glue_submission
from experiments.glue.prepare import prepare
from experiments.glue.submission import FILES, submission
from mt_dnn.task_types import load_tasks
from tests.support.files import rows, write

GLUE = Path(glue_prepare.__file__).parent


@pytest.fixture
def tasks():
    return load_tasks(GLUE / "tasks.yml")


def predict(folder: Path, dataset: str, predictions: list, uids: list | None = None) -> None:
    uids = uids or [str(i) for i in range(len(predictions))]
    lines = [
        json.dumps({"uid": u, "prediction": p, "probabilities": [0.5, 0.5]})
        for u, p in zip(uids, predictions, strict=True)
    ]
    write(folder / f"{dataset}.jsonl", *lines)


def unzip(path: Path) -> dict[str, list[str]]:
    with ZipFile(io.BytesIO(path.read_bytes())) as archive:
        return {name: archive.read(name).decode().split("\n") for name in archive.namelist()}


def test_submission_writes_what_glue_wants(tmp_path, tasks, capsys):
    folder, out = tmp_path / "predictions", tmp_path / "submission.zip"
    for dataset, (task, _, _) in FILES.items():
        labels = [-0.4, 5.7, 2.34567] if task == "stsb" else [*tasks[task].labels]
        predict(folder, dataset, labels)
    submission(str(folder), str(out))
    files = unzip(out)
    names = "CoLA SST-2 MRPC STS-B QQP MNLI-m MNLI-mm QNLI RTE WNLI AX"
    assert set(files) == {f"{name}.tsv" for name in names.split()}
    inference = ["index\tprediction", "0\tentailment", "1\tneutral", "2\tcontradiction", ""]
    assert files["MNLI-m.tsv"] == files["MNLI-mm.tsv"] == files["AX.tsv"] == inference
    binary = ["index\tprediction", "0\tentailment", "1\tnot_entailment", ""]
    assert files["RTE.tsv"] == files["QNLI.tsv"] == binary
    for name in ("CoLA", "SST-2", "MRPC", "QQP", "WNLI"):
        assert files[f"{name}.tsv"] == ["index\tprediction", "0\t0", "1\t1", ""]
    assert files["STS-B.tsv"] == ["index\tprediction", "0\t0.000", "1\t5.000", "2\t2.346", ""]
    printed = capsys.readouterr().out
    assert "warning: RTE.tsv should have 3000 rows" in printed
    assert "missing" not in printed


def test_submission_round_trip_of_prepared_rows(raw, out, tmp_path, capsys):
    """The prepared test uids, predicted in any order, come out as GLUE's index in GLUE's order."""
    write(raw / "WNLI/test.tsv", "index\tsentence1\tsentence2", *(f"{i}\tA\tB" for i in range(146)))
    prepare(str(raw), str(out))
    uids = [row[0] for row in rows(out / "wnli_test.tsv")][::-1]
    predict(tmp_path, "wnli_test", [int(uid) % 2 for uid in uids], uids)
    submission(str(tmp_path), str(tmp_path / "submission.zip"))
    expected = ["index\tprediction", *(f"{i}\t{i % 2}" for i in range(146)), ""]
    assert unzip(tmp_path / "submission.zip") == {"WNLI.tsv": expected}
    printed = capsys.readouterr().out
    assert "warning" not in printed
    assert "missing: CoLA.tsv, SST-2.tsv, MRPC.tsv" in printed
    assert "requires all 11 files" in printed


@pytest.mark.parametrize(
    ("predictions", "uids", "message"),
    [
        (["entailment", "neutral"], None, r"rte_test.jsonl:2: 'neutral' is not a label of rte"),
        (["entailment", "entailment"], ["0", "0"], r":2: uid 0 occurs twice"),
        (["entailment"], ["first"], r':1: expected {"uid": integer'),
    ],
)
def test_submission_refuses(tmp_path, predictions, uids, message):
    predict(tmp_path, "rte_test", predictions, uids)
    with pytest.raises(UserError, match=message):
        submission(str(tmp_path), str(tmp_path / "submission.zip"))


def test_submission_without_test_predictions_exits_with_2(tmp_path, command):
    predict(tmp_path, "rte", ["entailment"])
    code, _, err = command(glue_submission.main, "--predictions", tmp_path)
    assert code == 2
    assert "error: no predictions of GLUE test splits" in err

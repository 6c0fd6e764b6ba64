"""A finished run answers files and pipes: predict.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import predict as command
from data_utils.cli import run_cli
from experiments.glue.submission import official
from experiments.submission import read_predictions
from mt_dnn.inference.command import arrives
from mt_dnn.inference.lines import Content, predict_lines
from mt_dnn.inference.predictor import Predictor
from mt_dnn.task_types import load_tasks
from tests.support.finished_run import Run, read_jsonl

ROOT = Path(__file__).parents[2]


@pytest.fixture
def cli(
    run: Run, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., tuple[int, list[dict], str]]]:
    """``predict.py --run ...`` in this process: exit code, records on stdout, stderr."""

    def call(*args: object, stdin: str = "", folder: Path | None = None):
        read, write = os.pipe()
        os.write(write, stdin.encode())
        os.close(write)
        with os.fdopen(read) as pipe, monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", pipe)
            words = ["--run", folder or run.folder, "--device", "cpu", *args]
            patch.setattr(sys, "argv", ["predict.py", *map(str, words)])
            capfd.readouterr()
            with pytest.raises(SystemExit) as end:
                run_cli(command.main)
        out, err = capfd.readouterr()
        return int(end.value.code or 0), [json.loads(line) for line in out.splitlines()], err

    return call


def test_a_labelled_file_is_answered_and_scored(run: Run, cli) -> None:
    code, records, err = cli("--task", "nli", "--input", run.data / "nli_dev.tsv")
    assert code == 0
    written = run.written("nli")
    assert [r.keys() for r in records] == [w.keys() for w in written]
    for key in ("uid", "prediction", "gold"):
        assert [r[key] for r in records] == [w[key] for w in written]
    for record, line in zip(records, written, strict=True):
        assert record["scores"] == pytest.approx(line["scores"], rel=1e-4, abs=1e-6)
        assert max(record["scores"], key=record["scores"].__getitem__) == record["prediction"]
    scores = json.loads((run.folder / "scores.json").read_text())["scores"]["nli"]
    assert err == f"nli: ACC {scores['ACC']:.2f}, 13 labelled rows\n"


def test_columns_of_a_file_may_have_other_names(run: Run, cli, tmp_path: Path) -> None:
    rows = [line.split("\t") for line in (run.data / "nli_dev.tsv").read_text().splitlines()]
    path = tmp_path / "own.tsv"
    path.write_text("\n".join(["meant\tfirst\tsecond", *("\t".join(row[1:]) for row in rows)]))
    names = ["--columns.premise", "first", "--columns.hypothesis", "second"]
    code, records, err = cli("--task", "nli", "--input", path, *names, "--columns.label", "meant")
    assert (code, len(records)) == (0, 13)
    assert [r["prediction"] for r in records] == [w["prediction"] for w in run.written("nli")]
    assert err.endswith("13 labelled rows\n")
    code, _, err = cli("--what", "embeddings", "--input", path, *names)
    assert code == 2
    assert "embeddings belong to none" in err


def test_an_unlabelled_file_is_not_scored_and_serves_a_submission(
    run: Run, cli, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "nli_test.jsonl"
    code, records, err = cli("--task", "nli", "--input", run.data / "nli_test.tsv", "--output", out)
    assert (code, records, err) == (0, [], "")
    assert [r["prediction"] for r in read_jsonl(out)] == [
        w["prediction"] for w in run.written("nli_test")
    ]
    task = load_tasks(run.data / "tasks.yml")["nli"]
    rows = read_predictions(out, int, partial(official, task))
    assert list(rows) == [100 + i for i in range(7)]
    assert [path.name for path in out.parent.iterdir()] == ["nli_test.jsonl"]


def test_a_pipe_may_hold_texts_alone_or_json(run: Run, cli) -> None:
    rows = run.rows("nli")
    labelled = "".join("\t".join(row.values()) + "\n" for row in rows)
    bare = "".join(f"{row['premise']}\t{row['hypothesis']}\n" for row in rows)
    objects = "\n" + "".join(json.dumps(row) + "\n" for row in rows)
    answers = {}
    for name, text in {"labelled": labelled, "bare": bare, "objects": objects}.items():
        code, records, _ = cli("--task", "nli", "--batch_size", 5, stdin=text)
        assert code == 0
        answers[name] = [record["prediction"] for record in records]
        expected = range(len(rows)) if name == "bare" else range(100, 100 + len(rows))
        assert [record["uid"] for record in records] == [str(uid) for uid in expected]
    assert answers["labelled"] == answers["bare"] == answers["objects"]
    assert answers["bare"] == [w["prediction"] for w in run.written("nli")]


def test_the_first_answers_come_before_the_input_ends(predictor: Predictor) -> None:
    answered_before: list[int] = []
    output: list[str] = []

    def lines() -> Iterator[str]:
        for _ in range(5):
            answered_before.append("".join(output).count("\n"))
            yield "a good film\n"

    predict_lines(
        predictor,
        predictor.task("tone"),
        lines(),
        name="<stdin>",
        content=Content(),
        write=output.append,
        batch_size=2,
        chunk=2,
    )
    assert answered_before == [0, 0, 2, 2, 4]
    assert "".join(output).count("\n") == 5


def test_a_redirected_file_is_not_awaited(run: Run) -> None:
    with (run.data / "nli_dev.tsv").open() as stream:
        assert not arrives(stream.fileno())
    read, write = os.pipe()
    assert arrives(read)
    for end in (read, write):
        os.close(end)


def test_logits_and_embeddings(run: Run, predictor: Predictor, cli) -> None:
    rows = run.rows("sim")
    code, records, err = cli(
        "--task", "sim", "--input", run.data / "sim_dev.tsv", "--what", "logits"
    )
    assert (code, err) == (0, "")
    assert [r["gold"] for r in records] == [float(row["label"]) for row in rows]
    np.testing.assert_allclose(
        [r["logits"] for r in records], predictor.logits("sim", rows), rtol=1e-4, atol=1e-6
    )
    code, records, _ = cli("--input", run.data / "tone_dev.tsv", "--what", "embeddings")
    assert code == 0
    texts = [row["premise"] for row in run.rows("tone")]
    np.testing.assert_allclose(
        [r["embedding"] for r in records], predictor.embeddings(texts), rtol=1e-4, atol=1e-5
    )


def test_the_precision_reaches_the_passes(run: Run, predictor: Predictor, cli) -> None:
    words = ("--task", "sim", "--input", run.data / "sim_dev.tsv", "--what", "logits")
    code, records, _ = cli(*words, "--precision", "bf16")
    assert code == 0
    exact = predictor.logits("sim", run.rows("sim"))
    error = np.abs(np.array([record["logits"] for record in records]) - exact).max()
    assert 1e-4 < error / np.abs(exact).max() < 0.1  # bfloat16 has 8 significant bits


def test_a_task_of_another_file(run: Run, cli) -> None:
    later = run.data / "later.yml"
    code, records, err = cli(
        "--tasks", later, "--task", "probe", "--input", run.data / "nli_dev.tsv"
    )
    assert code == 0
    assert [r["prediction"] for r in records] == [w["prediction"] for w in run.written("nli")]
    assert err.startswith("probe: MCC ")


@pytest.mark.parametrize(
    ("args", "stdin", "message"),
    [
        (["--task", "nil"], "", "error: the run has no task 'nil'. Did you mean 'nli'?"),
        ([], "", "error: --task: name a task. Choices: nli, rank, sim, tone."),
        (["--task", "nli"], "\n \n", "error: <stdin>: the file has no rows"),
        (
            ["--task", "nli"],
            "\na\tb\tc\n",
            "error: <stdin>:2: 3 columns; task 'nli' takes, tab-separated: "
            "uid, label, premise, hypothesis; or premise, hypothesis.",
        ),
        (["--task", "nli"], "a\tb\nonly one\n", "error: <stdin>:2: 1 columns; expected 2"),
        (
            ["--task", "nli"],
            '{"premise": "a", "hypothesis": "b"}\n{\n',
            "error: <stdin>:2: not JSON",
        ),
        (
            ["--task", "rank"],
            "a question\tone\ttwo\n",
            "uid, ruid, label, premise, hypothesis 1 .. N.",
        ),
        (
            ["--task", "nli", "--input", "absent.tsv"],
            "",
            "error: --input: file absent.tsv does not exist",
        ),
        (["--task", "nli", "--batch_size", "0"], "a\tb\n", "error: --batch_size: 0"),
        (["--task", "nli", "--what", "embeddings"], "a\n", "leave --task out"),
    ],
)
def test_mistakes_end_with_code_2(cli, args: list[str], stdin: str, message: str) -> None:
    code, _, err = cli(*args, stdin=stdin)
    assert code == 2
    assert message in err
    assert "Traceback" not in err


def test_a_missing_run_and_a_failed_file(cli, tmp_path: Path) -> None:
    code, _, err = cli("--task", "nli", folder=tmp_path)
    assert code == 2
    assert "is not a finished run" in err
    out = tmp_path / "out.jsonl"
    code, _, _ = cli("--task", "nli", "--batch_size", 1, "--output", out, stdin="a\tb\nc\n")
    assert code == 2
    assert list(tmp_path.iterdir()) == []  # nothing that could pass for all the answers


def test_help_needs_no_torch() -> None:
    script = (
        "import sys, mt_dnn\n"
        "assert 'torch' not in sys.modules\n"
        "import predict\n"
        "sys.argv = ['predict.py', '--help']\n"
        "try: predict.main()\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--batch_size" in done.stdout

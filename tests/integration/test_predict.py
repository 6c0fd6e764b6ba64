"""A finished run answers rows: from Python, from files, from a pipe."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

import mt_dnn
import predict as command
from data_utils.cli import run_cli
from data_utils.formats import FORMATS
from data_utils.registry import UserError
from data_utils.sources import FileSource
from experiments.glue.submission import read_predictions
from mt_dnn.config import (
    BatchConfig,
    DataConfig,
    ModelConfig,
    OptimConfig,
    RunConfig,
    SystemConfig,
    TrainConfig,
)
from mt_dnn.predict import Predictor
from mt_dnn.predict_lines import predict_lines
from mt_dnn.task_types import load_tasks
from mt_dnn.trainer import Trainer
from tests.tiny import WORDS, tiny_encoder_folder

ROOT = Path(__file__).parents[2]
TASKS = """
nli:
  data_format: PremiseAndOneHypothesis
  task_type: Classification
  labels: [entailment, neutral, contradiction]
  metric_meta: [ACC]
  max_seq_len: 12   # below the run's: some rows are cut
tone: {data_format: PremiseOnly, task_type: Classification, n_class: 2, metric_meta: [ACC, F1]}
sim:
  data_format: PremiseAndOneHypothesis
  task_type: Regression
  n_class: 1
  metric_meta: [Pearson]
rank:
  data_format: PremiseAndMultiHypothesis
  task_type: Ranking
  n_class: 1
  metric_meta: [ACC]
"""
LATER = """
probe: {extends: tasks.yml#nli, head: nli, metric_meta: [MCC], split_names: [test]}
other: {extends: tasks.yml#nli, head: elsewhere}
"""
WIDE = "wide: {extends: tasks.yml#nli, head: nli, labels: [a, b], n_class: 2}\n"
LABELS = {
    "nli": ("entailment", "neutral", "contradiction"),
    "tone": ("0", "1"),
    "sim": ("0.5", "2.25", "4"),
}


@dataclass(frozen=True)
class Run:
    folder: Path
    data: Path

    def rows(self, task: str, split: str = "dev") -> list[dict]:
        """The canonical rows by column name."""
        definition = load_tasks(self.data / "tasks.yml")[task]
        columns = FORMATS.get(definition.data_format).columns
        source = FileSource(self.data / f"{task}_{split}.tsv", columns, {})
        return [row.values for row in source.rows()]

    def written(self, dataset: str) -> list[dict]:
        return read_jsonl(self.folder / "predictions" / f"{dataset}.jsonl")


def read_jsonl(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write_data(data: Path) -> None:
    """Random sentences of 1 to 12 words; test splits have no labels."""
    rng = np.random.default_rng(0)

    def sentence() -> str:
        return " ".join(rng.choice(WORDS, rng.integers(1, 13)))

    for split, count in (("train", 16), ("dev", 13), ("test", 7)):
        for task, choices in LABELS.items():
            width = 1 if task == "tone" else 2
            lines = [
                [str(100 + i), choices[i % len(choices)], *(sentence() for _ in range(width))]
                for i in range(count)
            ]
            if split == "test":
                lines = [[uid, "", *texts] for uid, _, *texts in lines]
            text = "".join("\t".join(line) + "\n" for line in lines)
            (data / f"{task}_{split}.tsv").write_text(text, encoding="utf-8")
        with (data / f"rank_{split}.tsv").open("w", encoding="utf-8") as stream:
            for i in range(count):
                k = 2 + i % 3
                label = (
                    "" if split == "test" else ",".join("1" if j == 0 else "0" for j in range(k))
                )
                cells = [str(i), ",".join("x" * k), label, *(sentence() for _ in range(k + 1))]
                stream.write("\t".join(cells) + "\n")
    (data / "tasks.yml").write_text(TASKS, encoding="utf-8")
    (data / "later.yml").write_text(LATER, encoding="utf-8")
    (data / "wide.yml").write_text(WIDE, encoding="utf-8")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    data = tmp_path_factory.mktemp("data")
    write_data(data)
    encoder = tiny_encoder_folder(tmp_path_factory.mktemp("encoder"))
    model = AutoModel.from_pretrained(encoder)
    with torch.no_grad():
        model.embeddings.word_embeddings.weight.mul_(50)  # let words outweigh positions
    model.save_pretrained(encoder)
    config = RunConfig(
        name="tiny",
        output_dir=str(tmp_path_factory.mktemp("runs")),
        data=DataConfig(tasks=str(data / "tasks.yml"), data_dir=str(data), max_seq_len=32),
        model=ModelConfig(encoder=str(encoder), pooling="mean"),
        batch=BatchConfig(size=8),
        optim=OptimConfig(lr=5e-3),
        # Scored at the end alone, so that the best model is the most trained one.
        train=TrainConfig(epochs=8, eval_every=1000, save_every=0),
        system=SystemConfig(device="cpu"),
    )
    Trainer(config).fit()
    return Run(Path(config.output_dir) / config.name, data)


@pytest.fixture(scope="module")
def predictor(run: Run) -> Predictor:
    return mt_dnn.load(run.folder)


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


# The API.


@pytest.mark.parametrize("dataset", ["nli", "tone", "sim", "rank", "nli_test", "rank_test"])
def test_answers_are_those_the_run_wrote(run: Run, predictor: Predictor, dataset: str) -> None:
    task, _, split = dataset.partition("_")
    answers = predictor.predict(task, run.rows(task, split or "dev"))
    written = run.written(dataset)
    assert [a.uid for a in answers] == [w["uid"] for w in written]
    assert [a.gold for a in answers] == [w.get("gold") for w in written]
    for a, w in zip(answers, written, strict=True):
        scores = list(a.scores.values()) if isinstance(a.scores, dict) else a.scores
        np.testing.assert_allclose(scores, w["scores"], rtol=1e-4, atol=1e-6)
        if isinstance(w["prediction"], float):
            assert a.label == pytest.approx(w["prediction"], rel=1e-4, abs=1e-6)
        else:
            assert a.label == w["prediction"]


@pytest.mark.parametrize("task", ["nli", "tone", "rank"])
def test_the_answers_to_compare_differ_from_row_to_row(run: Run, task: str) -> None:
    """Constant ones would agree in any order, and whatever text was read."""
    assert np.ptp([record["scores"][0] for record in run.written(task)]) > 0.01


def test_strings_tuples_and_dicts_say_the_same(run: Run, predictor: Predictor) -> None:
    dicts = [{"premise": row["premise"]} for row in run.rows("tone")]
    texts = [row["premise"] for row in dicts]
    assert predictor.predict("tone", dicts) == predictor.predict("tone", texts)
    assert predictor.predict("tone", dicts) == predictor.predict("tone", [(t,) for t in texts])

    pairs = [(row["premise"], row["hypothesis"]) for row in run.rows("nli")]
    dicts = [{"hypothesis": hypothesis, "premise": premise} for premise, hypothesis in pairs]
    assert predictor.predict("nli", pairs) == predictor.predict("nli", dicts)

    lists = [[row["premise"], *row["hypothesis"]] for row in run.rows("rank")]
    dicts = [{"premise": premise, "hypothesis": rest} for premise, *rest in lists]
    assert predictor.predict("rank", lists) == predictor.predict("rank", dicts)


def test_batch_size_and_order_do_not_matter(run: Run, predictor: Predictor) -> None:
    for task in ("nli", "rank"):
        rows = run.rows(task)
        whole = predictor.predict(task, rows)
        others = predictor.predict(task, rows, batch_size=2), predictor.predict(task, rows[::-1])
        for other in (others[0], others[1][::-1]):
            assert [a.uid for a in other] == [a.uid for a in whole]
            assert [a.label for a in other] == [a.label for a in whole]
            for a, b in zip(other, whole, strict=True):
                values = [list(x.scores.values()) if task == "nli" else x.scores for x in (a, b)]
                np.testing.assert_allclose(*values, rtol=1e-4, atol=1e-6)


def test_answers_speak_the_words_of_the_task(predictor: Predictor) -> None:
    (nli,) = predictor.predict("nli", [("a dog", "an animal")])
    assert set(nli.scores) == set(LABELS["nli"])
    assert nli.label == max(nli.scores, key=nli.scores.__getitem__)
    assert sum(nli.scores.values()) == pytest.approx(1)
    (tone,) = predictor.predict("tone", ["a good film"])
    assert set(tone.scores) == {0, 1}
    (rank,) = predictor.predict("rank", [("a question", "one", "two", "three")])
    assert sorted(rank.label) == [0, 0, 1]
    assert rank.label[int(np.argmax(rank.scores))] == 1


def test_regression_answers_a_number_and_not_a_class(predictor: Predictor) -> None:
    answers = predictor.predict("sim", [("a dog", "an animal"), ("war", "peace and other things")])
    assert all(type(answer.label) is float for answer in answers)
    assert answers[0].label != answers[1].label
    assert [a.label for a in answers] == [a.scores for a in answers]


def test_logits_are_what_the_scores_come_from(run: Run, predictor: Predictor) -> None:
    rows = run.rows("nli")
    logits = predictor.logits("nli", rows, batch_size=3)
    assert isinstance(logits, np.ndarray)
    assert logits.shape == (len(rows), 3)
    assert logits.dtype == np.float32
    scores = [list(answer.scores.values()) for answer in predictor.predict("nli", rows)]
    np.testing.assert_allclose(torch.tensor(logits).softmax(-1), scores, rtol=1e-4, atol=1e-6)

    ragged = predictor.logits("rank", run.rows("rank"))
    answers = predictor.predict("rank", run.rows("rank"))
    for values, answer in zip(ragged, answers, strict=True):
        expected = torch.tensor(values).softmax(-1)
        np.testing.assert_allclose(expected, answer.scores, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_embeddings_are_those_of_the_encoder_alone(
    run: Run, predictor: Predictor, pooling: str
) -> None:
    texts = [row["premise"] for row in run.rows("tone")]
    found = predictor.embeddings(texts, pooling, batch_size=4)
    best = run.folder / "best"
    model, tokenizer = AutoModel.from_pretrained(best).eval(), AutoTokenizer.from_pretrained(best)
    expected = []
    for text in texts:  # one by one: no padding
        with torch.inference_mode():
            hidden = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]  # (T, H)
        expected.append((hidden.mean(0) if pooling == "mean" else hidden[0]).numpy())
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.stack(expected), rtol=1e-4, atol=1e-5)


def test_labels_may_stand_beside_some_rows_only(run: Run, predictor: Predictor) -> None:
    pair = {"premise": "a dog", "hypothesis": "an animal"}
    labels = [
        "neutral",
        None,
        "",
        "-",
        "entailment",
    ]  # "-": annotators disagreed; dropped in training
    answers = predictor.predict("nli", [pair | {"label": label} for label in labels])
    assert [a.gold for a in answers] == ["neutral", None, None, None, "entailment"]
    assert [a.uid for a in answers] == ["0", "1", "2", "3", "4"]


def test_no_rows_give_no_answers(predictor: Predictor) -> None:
    assert predictor.predict("nli", []) == []
    assert predictor.logits("nli", []).shape == (0, 3)
    assert predictor.embeddings([]).shape == (0, 32)


def test_loading_leaves_the_random_state_alone_and_takes_the_folder_too(run: Run) -> None:
    before = torch.get_rng_state()
    again = mt_dnn.load(str(run.folder / "best"))
    assert torch.equal(torch.get_rng_state(), before)
    assert not again.model.training
    assert list(again.tasks) == ["nli", "tone", "sim", "rank"]


@pytest.mark.parametrize(
    ("task", "rows", "message"),
    [
        ("mnli", ["a"], "no task 'mnli'.*Did you mean 'nli'.*nli, rank, sim, tone"),
        ("nli", ["one text"], "row 0: 1 texts; task 'nli' takes: premise, hypothesis"),
        ("nli", [("a", "b"), ("a", "b", "c")], "row 1: 3 texts"),
        ("nli", [("a", "b"), {"premise": "a"}], "row 1: column 'hypothesis' is missing"),
        ("nli", [("a", None)], "row 0: .* is not a text, a tuple of texts, or a dict"),
        ("nli", ("a", "b"), "row 0: 1 texts"),
        ("tone", "a text", "put it in a list"),
        ("rank", [("a question",)], "row 0: 1 texts; .* premise, hypothesis 1 .. N"),
        (
            "nli",
            [{"premise": "a", "hypothesis": "b", "label": "entailed"}],
            "row 0: label 'entailed' .* Did you mean 'entailment'",
        ),
    ],
)
def test_errors_name_the_row_and_the_choices(
    predictor: Predictor, task: str, rows: list, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        predictor.predict(task, rows)


def test_a_task_that_shares_a_head_is_answered_by_it(run: Run) -> None:
    predictor = mt_dnn.load(run.folder)
    later = load_tasks(run.data / "later.yml")
    predictor.add_task(later["probe"])
    rows = run.rows("nli")
    assert predictor.predict("probe", rows) == predictor.predict("nli", rows)
    with pytest.raises(UserError, match=r"needs head 'elsewhere'.*Choices: nli, rank, sim, tone"):
        predictor.add_task(later["other"])
    with pytest.raises(UserError, match=r"shares head 'nli' .* n_class: 2 and 3"):
        predictor.add_task(load_tasks(run.data / "wide.yml")["wide"])


# The command line.


def test_a_labelled_file_is_answered_and_scored(run: Run, cli) -> None:
    code, records, err = cli("--task", "nli", "--input", run.data / "nli_dev.tsv")
    assert code == 0
    written = run.written("nli")
    assert [r.keys() for r in records] == [w.keys() for w in written]
    for key in ("uid", "prediction", "gold"):
        assert [r[key] for r in records] == [w[key] for w in written]
    scores = json.loads((run.folder / "scores.json").read_text())["scores"]["nli"]
    assert err == f"nli: ACC {scores['ACC']:.2f}, 13 labelled rows\n"


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
    assert list(read_predictions(out, task)) == [100 + i for i in range(7)]
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
        what="predictions",
        write=output.append,
        batch_size=2,
        chunk=2,
    )
    assert answered_before == [0, 0, 2, 2, 4]
    assert "".join(output).count("\n") == 5


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
        ([], "", "error: --task: say which. Choices: nli, rank, sim, tone."),
        (["--task", "nli"], "\n \n", "error: <stdin>: no rows in it"),
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
            "error: --input: there is no file absent.tsv",
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

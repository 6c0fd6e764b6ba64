"""experiments/anli: made-up downloads of four inference corpora in, canonical rows out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data_utils.errors import UserError
from data_utils.mixing import Supply, mix
from data_utils.task_def import dataset_name
from experiments.anli import prepare as anli_prepare
from experiments.anli.prepare import LAYOUTS, prepare
from mt_dnn.config.parser import parse_config
from mt_dnn.task_types import load_tasks
from tests.support.files import rows, write

SUITE = Path(anli_prepare.__file__).parent
HUB_WORDS = ["entailment", "neutral", "contradiction"]


@pytest.fixture(scope="module")
def tasks():
    return load_tasks(SUITE / "tasks.yml")


def anli(uid: str, label: str) -> dict:
    model = {"model_label": "n", "emturk": True, "genre": "wiki", "reason": "so", "tag": "train"}
    return {"uid": uid, "context": "Bo\nleft.", "hypothesis": "Bo is here.", "label": label} | model


def sentences(pair: str, label: str) -> dict:
    pair_of = {"sentence1": "A man.", "sentence2": "A person.", "sentence1_parse": "(A man.)"}
    return {
        "gold_label": label,
        "annotator_labels": [label],
        "pairID": pair,
        "captionID": "4",
    } | pair_of


def fever(fid: str, label: str) -> dict:
    texts = {"query": "Bo is a man.", "context": "Bo was a man ."}
    return {"cid": "7", "fid": fid, "verifiable": "VERIFIABLE", "label": label} | texts


def test_the_corpora_share_one_head_and_score_apart(tasks):
    assert list(tasks) == list(LAYOUTS)
    assert {task.head_name for task in tasks.values()} == {"nli"}
    assert all(task.labels == tuple(HUB_WORDS) for task in tasks.values())
    assert all(task.splits("train") == ["train"] for task in tasks.values())
    rounds = [tasks[f"anli_r{number}"] for number in (1, 2, 3)]
    assert {task.split_names for task in rounds} == {("train",)}  # anli has the dev and test rows
    names = [dataset_name("anli", split) for split in tasks["anli"].splits("dev")]
    assert names == ["anli_r1", "anli_r2", "anli_r3"]
    assert len(tasks["anli"].splits("test")) == 3
    for name, task in tasks.items():
        layout = LAYOUTS[name]
        assert set(layout.files) == set(layout.hub_splits) == set(task.split_names)


def test_rounds_are_trained_together_and_scored_apart(raw, out, capsys):
    for number, labels in ((1, "e"), (2, "nc"), (3, "c")):
        folder = f"anli_v1.0/R{number}"
        uids = [f"r{number}-{i}" for i in range(len(labels))]
        write(
            raw / f"{folder}/train.jsonl", *(anli(*pair) for pair in zip(uids, labels, strict=True))
        )
        write(raw / f"{folder}/dev.jsonl", anli(f"dev{number}", "e"))
    write(raw / "anli_v1.0/R2/test.jsonl", anli("test2", "n"))
    prepare(str(raw), str(out), "anli")
    texts = ["Bo left.", "Bo is here."]
    assert rows(out / "anli_train.tsv") == [
        ["r1-0", "entailment", *texts],
        ["r2-0", "neutral", *texts],
        ["r2-1", "contradiction", *texts],
        ["r3-0", "contradiction", *texts],
    ]
    for number in (1, 2, 3):
        assert rows(out / f"anli_r{number}_dev.tsv") == [[f"dev{number}", "entailment", *texts]]
    assert rows(out / "anli_r2_test.tsv") == [["test2", "neutral", *texts]]
    printed = capsys.readouterr().out
    assert f"anli r1_test: no file {raw}/anli_v1.0/R1/test.jsonl" in printed


def test_each_round_is_a_task_too(raw, out):
    for number in (1, 2, 3):
        write(raw / f"anli_v1.0/R{number}/train.jsonl", anli(f"r{number}", "e"))
    prepare(str(raw), str(out), "anli,anli_r1,anli_r2,anli_r3")
    parts = [rows(out / f"anli_r{number}_train.tsv") for number in (1, 2, 3)]
    assert [part[0][0] for part in parts] == ["r1", "r2", "r3"]
    assert [row for part in parts for row in part] == rows(out / "anli_train.tsv")


SIZES = {
    "anli": 162_865,
    "anli_r1": 16_946,
    "anli_r2": 45_460,
    "anli_r3": 100_459,
    "snli": 549_367,
    "mnli": 392_702,
    "fever": 208_346,
}
"""Training pairs with a gold label (arXiv 1910.14599, table 2; SNLI, MNLI and FEVER as the hub has them)."""


def test_the_mixture_has_the_papers_share_of_anli():
    """Rounds 1 to 3 come ten, twenty and ten times, everything else once: 64.4% of the examples."""
    passes = {"anli": 0, "anli_r1": 10, "anli_r2": 20, "anli_r3": 10}
    seen = {task: passes.get(task, 1) * n for task, n in SIZES.items()}
    share = sum(n for task, n in seen.items() if task in passes) / sum(seen.values())
    assert share == pytest.approx(0.644, abs=5e-4)
    config = parse_config(["--config", str(SUITE / "multitask.yml")])
    examples = {task: SIZES[task] for task in config.data.use}
    batches = {task: -(-n // config.batch.size) for task, n in examples.items()}
    rng = np.random.default_rng(0)
    counts = mix(Supply(batches, examples, 0, config.train.epochs, config.mixing, rng))
    assert counts["anli"] == 0  # evaluated only
    rounds = sum(counts[task] for task in passes)
    assert rounds / sum(counts.values()) == pytest.approx(share, abs=1e-3)


def test_a_round_that_is_missing_is_named(raw, out, capsys):
    write(raw / "anli_v1.0/R2/train.jsonl", anli("a", "e"))
    prepare(str(raw), str(out), "anli")
    assert len(rows(out / "anli_train.tsv")) == 1
    printed = capsys.readouterr().out
    assert f"anli train: no file {raw}/anli_v1.0/R1/train.jsonl" in printed
    assert f"anli train: no file {raw}/anli_v1.0/R3/train.jsonl" in printed


def test_snli_and_mnli_drop_pairs_that_nobody_agreed_on(raw, out, capsys):
    write(
        raw / "snli_1.0/snli_1.0_dev.jsonl", sentences("1.jpg#2r1n", "neutral"), sentences("2", "-")
    )
    write(raw / "snli_1.0/snli_1.0_test.jsonl", sentences("3", "-"))
    for split, pair in (("train", "1e"), ("dev_matched", "2e"), ("dev_mismatched", "3e")):
        write(raw / f"multinli_1.0/multinli_1.0_{split}.jsonl", sentences(pair, "entailment"))
    prepare(str(raw), str(out))
    texts = ["A man.", "A person."]
    assert rows(out / "snli_dev.tsv") == [["1.jpg#2r1n", "neutral", *texts]]
    assert rows(out / "snli_test.tsv") == [["3", "", *texts]]
    assert rows(out / "mnli_train.tsv") == [["1e", "entailment", *texts]]
    assert rows(out / "mnli_matched_dev.tsv") == [["2e", "entailment", *texts]]
    assert rows(out / "mnli_mismatched_dev.tsv") == [["3e", "entailment", *texts]]
    printed = capsys.readouterr().out
    assert "snli skipped 1 lines" in printed
    assert f"{raw}/snli_1.0/snli_1.0_dev.jsonl:2: no gold label" in printed


def test_fevers_claim_is_the_hypothesis(raw, out):
    labels = ("SUPPORTS", "REFUTES", "NOT ENOUGH INFO")
    records = [fever(str(number), label) for number, label in enumerate(labels)]
    write(raw / "nli_fever/train_fitems.jsonl", *records)
    prepare(str(raw), str(out), "fever")
    texts = ["Bo was a man .", "Bo is a man."]
    words = ("entailment", "contradiction", "neutral")
    assert rows(out / "fever_train.tsv") == [
        [str(number), word, *texts] for number, word in enumerate(words)
    ]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (anli("a", "entailmnt"), r"train.jsonl:2: .*'entailmnt'.*Did you mean 'entailment'"),
        ({"uid": "a", "premise": "A", "hypothesis": "B"}, r"train.jsonl:2: column 'context'"),
        ({"uid": "a", "context": "A", "label": "e"}, r"train.jsonl:2: column 'hypothesis'"),
    ],
)
def test_faults_name_file_and_line_and_leave_nothing(raw, out, record, message):
    write(raw / "anli_v1.0/R1/train.jsonl", anli("good", "e"), record)
    with pytest.raises(UserError, match=message):
        prepare(str(raw), str(out), "anli")
    assert not out.exists()


def test_hub_rows_equal_the_downloads(raw, out, monkeypatch):
    datasets = pytest.importorskip("datasets")
    words = datasets.ClassLabel(names=HUB_WORDS)
    pair = {"premise": "Bo\nleft.", "hypothesis": "Bo is here."}
    claim = {"premise": "Bo is a man.", "hypothesis": "Bo was a man .", "fid": "9", "cid": 7}
    hub = {
        "facebook/anli": {
            f"{role}_r{n}": pair | {"uid": f"{role}{n}", "label": int(n) - 1, "reason": ""}
            for role in ("train", "dev", "test")
            for n in "123"
        },
        "stanfordnlp/snli": {
            "train": pair | {"label": 2},
            "validation": pair | {"label": 1},
            "test": pair | {"label": -1},
        },
        "nyu-mll/multi_nli": {
            split: pair | {"pairID": "31193n", "promptID": 31193, "label": 1}
            for split in ("train", "validation_matched", "validation_mismatched")
        },
        # Here the claim is the premise.
        "pietrolesci/nli_fever": {"train": claim | {"fever_gold_label": "REFUTES", "label": 2}},
    }

    def fake_load(name: str, config: str | None, revision: str | None = None):
        assert config is None
        made = {s: datasets.Dataset.from_list([row]) for s, row in hub[name].items()}
        return datasets.DatasetDict(made).cast_column("label", words)

    monkeypatch.setattr(datasets, "load_dataset", fake_load)
    prepare("hub", str(out))
    texts = ["Bo left.", "Bo is here."]
    assert rows(out / "anli_train.tsv") == [
        [f"train{n}", word, *texts] for n, word in zip("123", HUB_WORDS, strict=True)
    ]
    assert rows(out / "anli_r2_dev.tsv") == [["dev2", "neutral", *texts]]
    assert rows(out / "anli_r3_test.tsv") == [["test3", "contradiction", *texts]]
    assert rows(out / "snli_dev.tsv") == [["0", "neutral", *texts]]
    assert rows(out / "snli_test.tsv") == [["0", "", *texts]]
    assert rows(out / "mnli_matched_dev.tsv") == [["31193n", "neutral", *texts]]
    assert rows(out / "fever_train.tsv") == [
        ["9", "contradiction", "Bo was a man .", "Bo is a man."]
    ]


def test_hub_out_of_reach_and_other_mistakes_exit_with_2(raw, out, monkeypatch, command):
    datasets = pytest.importorskip("datasets")

    def offline(*_: object, **__: object):
        raise ConnectionError("no route\nand more")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    code, _, err = command(anli_prepare.main, "--source", "hub", "--out", out, "--tasks", "anli")
    assert code == 2
    assert "'facebook/anli' cannot be loaded: no route\n" in err
    raw.mkdir()
    code, _, err = command(anli_prepare.main, "--source", raw, "--out", out)
    assert code == 2
    assert "error: nothing found" in err
    code, _, err = command(anli_prepare.main, "--source", raw, "--tasks", "anil")
    assert code == 2
    assert "Did you mean 'anli'" in err


@pytest.mark.parametrize("name", ["single", "multitask", "minilm"])
def test_run_config_parses(name, tasks):
    path = SUITE / f"{name}.yml"
    config = parse_config(["--config", str(path)])
    assert set(config.data.use) <= set(tasks)
    assert (SUITE.parent.parent / config.data.tasks).samefile(SUITE / "tasks.yml")
    assert path.read_text().startswith("# ")

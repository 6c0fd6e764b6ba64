"""experiments/xnli: made-up XNLI downloads in, canonical rows of each language out."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_utils.errors import UserError
from data_utils.task_def import dataset_name
from experiments.xnli import prepare as xnli_prepare
from experiments.xnli.prepare import TRAIN_FILE, prepare
from mt_dnn.config.parser import parse_config
from mt_dnn.task_types import load_tasks
from tests.support.files import rows, write

SUITE = Path(xnli_prepare.__file__).parent
LANGUAGES = [
    "ar",
    "bg",
    "de",
    "el",
    "en",
    "es",
    "fr",
    "hi",
    "ru",
    "sw",
    "th",
    "tr",
    "ur",
    "vi",
    "zh",
]
HUB_WORDS = ["entailment", "neutral", "contradiction"]
PARSES = "sentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\tsentence2_parse"
HEADER = f"language\tgold_label\t{PARSES}\tsentence1\tsentence2\tpromptID\tpairID\tgenre\tlabel1"


@pytest.fixture(scope="module")
def task():
    return load_tasks(SUITE / "tasks.yml")["xnli"]


def pair(
    language: str, label: str, pair_id: int, *, premise: str = "", hypothesis: str = ""
) -> str:
    texts = f"{premise or 'A' + language}\t{hypothesis or 'B' + language}"
    return f"{language}\t{label}\t\t\t\t\t{texts}\t{pair_id}\t{pair_id}\tface\t{label}"


def test_one_task_scored_in_fifteen_languages(task):
    assert task.labels == tuple(HUB_WORDS)
    assert task.splits("train") == ["train"]
    for role, suffix in (("dev", ""), ("test", "_test")):
        names = [dataset_name("xnli", split) for split in task.splits(role)]
        assert names == [f"xnli_{language}{suffix}" for language in LANGUAGES]


def test_each_language_gets_its_rows_of_the_one_file(raw, out, capsys):
    dev = [
        pair(language, label, number)
        for number, label in ((1, "neutral"), (2, "contradiction"))
        for language in LANGUAGES
    ]
    write(raw / "XNLI-1.0/xnli.dev.tsv", HEADER, *dev)
    write(raw / "XNLI-1.0/xnli.test.tsv", HEADER, pair("sw", "entailment", 7))
    prepare(str(raw), str(out))
    for language in LANGUAGES:
        texts = [f"A{language}", f"B{language}"]
        assert rows(out / f"xnli_{language}_dev.tsv") == [
            ["1", "neutral", *texts],
            ["2", "contradiction", *texts],
        ]
    assert rows(out / "xnli_sw_test.tsv") == [["7", "entailment", "Asw", "Bsw"]]
    printed = capsys.readouterr().out
    assert f"xnli train: no file {raw / TRAIN_FILE}" in printed
    assert f"xnli zh_test: no rows of zh in {raw}/XNLI-1.0/xnli.test.tsv" in printed


def test_texts_keep_their_quotation_marks(raw, out):
    said = pair("de", "neutral", 1, premise='"Nein", sagt er.', hypothesis='Er sagt "ja')
    write(raw / "XNLI-1.0/xnli.dev.tsv", HEADER, said, pair("de", "neutral", 2))
    prepare(str(raw), str(out))
    first, _ = rows(out / "xnli_de_dev.tsv")
    assert first[2:] == ['"Nein", sagt er.', 'Er sagt "ja']


def test_the_training_file_has_names_and_a_label_of_its_own(raw, out, capsys):
    write(
        raw / TRAIN_FILE,
        "premise\thypo\tlabel",
        "It rains .\tIt is dry .\tcontradictory",
        "broken off",
        "It rains .\tIt is wet .\tentailment",
    )
    prepare(str(raw), str(out))
    assert rows(out / "xnli_train.tsv") == [
        ["0", "contradiction", "It rains .", "It is dry ."],
        ["2", "entailment", "It rains .", "It is wet ."],
    ]
    printed = capsys.readouterr().out
    assert f"{raw / TRAIN_FILE}:3: 1 columns instead of 3" in printed
    assert f"xnli dev: no file {raw}/XNLI-1.0/xnli.dev.tsv" in printed


def test_dev_rows_without_gold_labels_are_left_out_and_named(raw, out, capsys):
    lines = [pair("fr", "-", 1), pair("fr", "neutral", 2)]
    for role in ("dev", "test"):
        write(raw / f"XNLI-1.0/xnli.{role}.tsv", HEADER, *lines)
    prepare(str(raw), str(out))
    assert [row[:2] for row in rows(out / "xnli_fr_dev.tsv")] == [["2", "neutral"]]
    assert [row[:2] for row in rows(out / "xnli_fr_test.tsv")] == [["1", ""], ["2", "neutral"]]
    assert f"{raw}/XNLI-1.0/xnli.dev.tsv:2: no gold label" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("file", "header", "line", "message"),
    [
        (TRAIN_FILE, "premise\thypo\tlabel", "A\tB\tcontra", r"en.tsv:2: label 'contra' is not"),
        (
            TRAIN_FILE,
            "premise\ttext\tlabel",
            "A\tB\tneutral",
            r"en.tsv:2: column 'hypo' is missing",
        ),
        ("XNLI-1.0/xnli.dev.tsv", "gold_label\tsentence1", "neutral\tA", r":2: column 'language'"),
    ],
)
def test_faults_name_file_and_line_and_leave_nothing(raw, out, file, header, line, message):
    write(raw / file, header, line)
    with pytest.raises(UserError, match=message):
        prepare(str(raw), str(out))
    assert not out.exists()


def test_hub_has_a_configuration_for_each_language(out, monkeypatch):
    datasets = pytest.importorskip("datasets")
    asked = set()

    def fake_load(name: str, config: str, revision: str | None = None):
        assert name == "facebook/xnli"
        asked.add(config)
        splits = {"train": 0, "validation": 1, "test": 2}
        made = {
            split: datasets.Dataset.from_list(
                [{"premise": f"A{config}", "hypothesis": split, "label": label}]
            )
            for split, label in splits.items()
        }
        return datasets.DatasetDict(made).cast_column("label", datasets.ClassLabel(names=HUB_WORDS))

    monkeypatch.setattr(datasets, "load_dataset", fake_load)
    prepare("hub", str(out))
    assert asked == set(LANGUAGES)
    assert rows(out / "xnli_train.tsv") == [["0", "entailment", "Aen", "train"]]
    for language in LANGUAGES:
        dev, test = (rows(out / f"xnli_{language}_{role}.tsv") for role in ("dev", "test"))
        assert dev == [["0", "neutral", f"A{language}", "validation"]]
        assert test == [["0", "contradiction", f"A{language}", "test"]]


def test_mistakes_exit_with_2(raw, out, command):
    raw.mkdir()
    code, _, err = command(xnli_prepare.main, "--source", raw, "--out", out)
    assert code == 2
    assert f"error: nothing found in {raw} for xnli" in err
    code, _, err = command(xnli_prepare.main, "--source", raw / "no", "--out", out)
    assert code == 2
    assert "no such folder" in err


@pytest.mark.parametrize("name", ["zero_shot", "minilm"])
def test_run_config_parses(name, task):
    path = SUITE / f"{name}.yml"
    config = parse_config(["--config", str(path)])
    assert config.data.use == (task.name,)
    assert (SUITE.parent.parent / config.data.tasks).samefile(SUITE / "tasks.yml")
    assert path.read_text().startswith("# ")

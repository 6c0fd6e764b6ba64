"""experiments/mlm: texts and other suites' rows in, paragraphs out, none of them in both splits."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from jsonargparse import ArgumentParser

from data_utils.errors import UserError
from experiments.mlm import prepare as mlm
from experiments.mlm.prepare import prepare, split_paragraphs, text_paragraphs
from mt_dnn.config.presets import resolve
from mt_dnn.config.run import RunConfig
from mt_dnn.task_types import load_tasks
from tests.support.files import read_json_lines, write_text

MLM = Path(mlm.__file__).parent
GLUE = str(MLM.parent / "glue" / "tasks.yml")


@pytest.fixture
def write(tmp_path: Path):
    def to_file(name: str, text: str) -> str:
        return str(write_text(tmp_path / name, text))

    return to_file


def texts(folder: Path, task: str = "mlm") -> list[str]:
    """Of both splits, in the order of the uids."""
    both = [
        row
        for split in ("train", "dev")
        for row in read_json_lines(folder / f"{task}_{split}.jsonl")
    ]
    assert len({row["uid"] for row in both}) == len(both)
    return [row["text"] for row in sorted(both, key=lambda row: int(row["uid"]))]


def test_blank_lines_part_paragraphs(write):
    path = write("a.txt", "\ufeff\n\n One line \r\nand\u2028another.\r\n \t\n\nA second.\nEnd")
    found = list(text_paragraphs(Path(path)))
    assert found == ["One line and\u2028another.", "A second. End"]


def test_the_splits_share_out_what_is_there_once():
    paragraphs = [f"p{i % 100}" for i in range(200)] + ["", " "]
    splits = split_paragraphs(paragraphs, dev_share=0.05, seed=1)
    assert [len(splits[split]) for split in ("train", "dev")] == [95, 5]
    merged = sorted(splits["train"] + splits["dev"], key=lambda row: int(row[0]))
    assert merged == [(str(i), f"p{i}") for i in range(100)]
    for split in splits.values():
        assert split == sorted(split, key=lambda row: int(row[0]))


def test_the_split_is_the_seeds():
    paragraphs = [f"p{i}" for i in range(100)]
    first, again = (split_paragraphs(paragraphs, dev_share=0.2, seed=1) for _ in range(2))
    random.seed(0)  # nor does it hang on a global generator
    assert first == again == split_paragraphs(paragraphs, dev_share=0.2, seed=1)
    assert first != split_paragraphs(paragraphs, dev_share=0.2, seed=2)


def test_prepare_writes_json_lines_of_several_files(write, out, capsys):
    one = write("one.txt", "A \u201cquote\u201d.\n\nB\tand\u2028more.\n\nC")
    two = write("two.txt", "C\n\nD")
    prepare([one, two], str(out), dev_share=0.25)
    assert texts(out) == ["A \u201cquote\u201d.", "B and more.", "C", "D"]
    assert len(read_json_lines(out / "mlm_dev.jsonl")) == 1
    assert all(set(row) == {"uid", "text"} for row in read_json_lines(out / "mlm_train.jsonl"))
    printed = capsys.readouterr().out
    assert f"{one}: 3 paragraphs" in printed
    assert f"mlm train: 3 paragraphs -> {out / 'mlm_train.jsonl'}" in printed
    assert "mlm: left out 1 paragraphs that are empty or repeat another" in printed


def test_rows_of_other_suites_give_all_their_texts(write, out):
    pair = write("rte_train.tsv", "0\tentailment\tIt rains.\tIt is wet.\n1\t\tIt rains.\tDry.\n")
    single = write("cola_dev.tsv", "0\t1\tThey ran.\n")
    lines = (
        {"uid": "0", "label": "1,0", "premise": "P", "hypothesis": ["H", "I"]},
        {"uid": "1", "document": "D", "question": "Q", "label": "x"},
        {"label": ["O", "O"], "tokens": ["two", "words"]},
        {"label": ["O"], "tokens": '["literal"]'},
    )
    mixed = write("mixed.jsonl", "\n".join(map(json.dumps, lines)))
    prepare([pair, single, mixed], str(out), task="own", task_file=GLUE, dev_share=0.2)
    sentences = ["It rains.", "It is wet.", "Dry.", "They ran."]
    assert texts(out, "own") == [*sentences, "P", "H", "I", "D", "Q", "two words", "literal"]


def test_prepared_rows_can_be_prepared_again(write, out):
    prepare([write("a.txt", "A\n\nB\n\nC")], str(out), dev_share=0.4)
    both = [str(out / f"mlm_{split}.jsonl") for split in ("train", "dev")]
    prepare(both, str(out / "again"), dev_share=0.4)
    assert sorted(texts(out / "again")) == ["A", "B", "C"]


@pytest.mark.parametrize(
    ("name", "text", "options", "message"),
    [
        ("a.pdf", "x", {}, r"a.pdf: expected .txt, .jsonl or .tsv"),
        ("rte_train.tsv", "x", {}, r"--task_file must contain a task .* No --task_file is given"),
        ("rta_train.tsv", "x", {"task_file": GLUE}, r"Did you mean 'rte_train'"),
        ("rte_dev.tsv", "0\tx", {"task_file": GLUE}, r"rte_dev.tsv:1: 2 columns; expected 4"),
        ("a.jsonl", '{"uid": "0", "label": "1"}', {}, r"a.jsonl:1: no text; expected one of text,"),
        ("a.txt", "A", {}, r"mlm dev: no paragraph left of 1"),
        ("a.txt", "A", {"dev_share": 1.0}, r"--dev_share 1.0: must be between 0 and 1"),
    ],
)
def test_what_cannot_be_prepared(write, out, name, text, options, message):
    with pytest.raises(UserError, match=message):
        prepare([write(name, text)], str(out), **options)
    assert not out.exists()


def test_command_line_takes_several_files(write, out, command):
    files = [write(f"{i}.txt", f"{i}\n\nagain") for i in range(4)]
    arguments = ["--source", *files, "--out", str(out), "--dev_share", "0.2"]
    assert command(mlm.main, *arguments)[0] == 0
    assert texts(out) == ["0", "again", "1", "2", "3"]
    code, _, err = command(mlm.main, "--source", "nowhere.txt")
    assert code == 2
    assert "error: --source nowhere.txt: no such file" in err


def test_tasks_are_masked_lm_with_berts_share():
    tasks = load_tasks(MLM / "tasks.yml")
    plain, whole = tasks["mlm"], tasks["mlm_whole_word"]
    assert plain.options["mask_probability"] == whole.options["mask_probability"] == 0.15
    assert (plain.options["whole_word"], whole.options["whole_word"]) == (False, True)
    assert plain.metrics == whole.metrics == ("Perplexity", "ACC")
    assert whole.source is not None
    assert whole.source.files == {"train": "mlm_train.jsonl", "dev": "mlm_dev.jsonl"}
    assert tasks["rte"].labels == ("entailment", "not_entailment")


def config(name: str) -> RunConfig:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(RunConfig)
    parser.add_argument("--config", action="config")
    return parser.instantiate(parser.parse_args([f"--config={MLM / name}.yml"]))


@pytest.mark.parametrize("name", ["mlm", "alum", "multitask", "minilm"])
def test_run_config_parses(name):
    run = config(name)
    tasks = load_tasks(MLM.parent.parent / run.data.tasks)
    assert run.data.use
    assert set(run.data.use) <= set(tasks)
    assert (MLM / f"{name}.yml").read_text(encoding="utf-8").startswith("# ")


def test_alum_is_the_smoothness_term_alone():
    run = config("alum")
    smoothness, proximal = resolve(run.smart, run.smoothness, run.proximal)
    assert (smoothness.weight, proximal.weight) == (10, 0)
    assert (smoothness.epsilon, smoothness.step_size, smoothness.sigma) == (1e-5, 1e-3, 1e-5)
    assert (smoothness.ascent, smoothness.steps, smoothness.norm) == ("projected", 1, "linf")
    assert resolve("off", config("mlm").smoothness, config("mlm").proximal)[0].weight == 0

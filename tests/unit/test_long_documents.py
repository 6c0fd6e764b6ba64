"""The study of windows: its documents end in the sentence that has the label, and its settings load."""

from __future__ import annotations

from mt_dnn.config.parser import parse_config
from mt_dnn.task_types import load_tasks
from tests.support.documents import ROOT
from tests.support.words import WORDS

STUDY = ROOT / "experiments" / "long_documents"


def test_a_document_is_a_passage_and_a_labelled_sentence(tmp_path):
    from experiments.long_documents.rows import write_rows

    passage, short = " ".join(WORDS[:90]), " ".join(WORDS[:79])
    good, bad = " ".join(["good"] * 6), " ".join(["bad"] * 7)
    for split in ("train", "dev"):
        for folder, lines in (
            ("boolq", ["question\tpassage\tlabel", f"q\t{short}\t1", *[f"q\t{passage} \t0"] * 2]),
            ("sst", ["sentence\tlabel", f"{good} \t1", "too short\t1", f"{bad} \t0"]),
        ):
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / f"{split}.tsv").write_text("\n".join(lines) + "\n")
    write_rows(str(tmp_path / "boolq"), str(tmp_path / "sst"), str(tmp_path / "out"))
    rows = {
        name: [
            line.split("\t") for line in (tmp_path / "out" / f"{name}.tsv").read_text().splitlines()
        ]
        for name in ("sentence_train", "sentence_dev", "mood_dev")
    }
    sentences = {("1", good), ("0", bad)}
    for name in ("sentence_train", "sentence_dev"):
        assert {(label, text) for _, label, text in rows[name]} == sentences
    documents = [(label, f"{passage} {text}") for _, label, text in rows["sentence_dev"]]
    assert [(label, text) for _, label, text in rows["mood_dev"]] == documents


def test_the_tasks_and_settings_load():
    tasks = load_tasks(STUDY / "tasks.yml")
    merges = {name: task.windows and task.windows.merge for name, task in tasks.items()}
    own = {"mood": None, "mood_mean": "mean", "mood_max": "max"}
    others = {"sentence": None, "mood_whole": None}
    assert merges == own | others | {n.replace("mood", "boolq"): m for n, m in own.items()}
    config = parse_config(["--config", str(STUDY / "run.yml")])
    assert (config.data.max_seq_len, config.seed) == (64, 1)

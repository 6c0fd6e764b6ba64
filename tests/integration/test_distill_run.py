"""Two teachers, their logits as predict.py writes them, and students: the way that the README shows."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

import mt_dnn
import predict as command
import prepro
from data_utils.collator import IGNORE
from data_utils.errors import UserError
from mt_dnn.training.trainer import Trainer
from tests.support.commands import call
from tests.support.finished_run import read_jsonl
from tests.support.interrupted import assert_equal_runs, interrupted
from tests.support.runs import assert_same_weights, copy_workspace, lines, logged, run
from tests.support.words import WORDS
from tests.support.workspace import TASKS

WORD_TASK = """\
words: {data_format: Sequence, task_type: SequenceLabeling, labels: [O, B-x, I-x], metric_meta: [ACC]}
"""
NAMES = ("pair", "score", "pick", "words")
LONG = 12
"""max_seq_len: some texts of the three tasks are cut, and some words."""


def write_words(folder: Path) -> None:
    rng = random.Random(3)
    rows = []
    for index in range(10):
        words = rng.choices([*WORDS, "zzz"], k=rng.randint(3, 14))
        labels = rng.choices(["O", "B-x", "I-x"], k=len(words))
        rows.append(f"words-{index}\t{json.dumps(labels)}\t{json.dumps(words)}\n")
    for split in ("train", "dev"):
        (folder / f"words_{split}.tsv").write_text("".join(rows))


@pytest.fixture(scope="module")
def data(workspace, tmp_path_factory) -> dict[str, Any]:
    """The settings under ``data`` of every run here."""
    folder = tmp_path_factory.mktemp("distil") / "data"
    settings = copy_workspace(workspace, folder, tasks=TASKS + WORD_TASK)
    write_words(folder)
    return {**settings, "max_seq_len": LONG}


@pytest.fixture(scope="module")
def settings(data, still_encoder_folder, tmp_path_factory) -> dict[str, Any]:
    """Quick to learn: words outweigh positions. Without dropout, so that a student can agree with its
    teachers."""
    encoder = tmp_path_factory.mktemp("encoder")
    model = AutoModel.from_pretrained(still_encoder_folder)
    with torch.no_grad():
        model.embeddings.word_embeddings.weight.mul_(50)
    model.save_pretrained(encoder)
    AutoTokenizer.from_pretrained(still_encoder_folder).save_pretrained(encoder)
    return {
        "data": data,
        "model": {"encoder": str(encoder), "dropout": 0.0, "pooling": "mean"},
        "batch": {"size": 8},
        "optim": {"lr": 5e-3, "weight_decay": 0.0},
        "train": {"epochs": 10, "eval_every": 1000, "save_every": 0},
    }


@pytest.fixture(scope="module")
def soft(config_in, settings, tmp_path_factory, no_figures) -> Path:
    """The folder that ``predict.py --run a b --what logits`` has filled; the teachers' beside it."""
    folder = tmp_path_factory.mktemp("teachers")
    teachers = [
        str(run(config_in(folder)(name=f"t{seed}", seed=seed, **settings)).run_dir)
        for seed in (1, 2)
    ]
    rows = Path(settings["data"]["data_dir"])
    for name in NAMES:
        args = ["--run", *teachers, "--task", name, "--input", rows / f"{name}_train.tsv"]
        args += ["--what", "logits", "--output", folder / "soft" / f"{name}_train.jsonl"]
        assert call(command.main, *args, "--device", "cpu") == 0
    found = mt_dnn.load(teachers).logits("pair", [("a good film", "all day")])
    assert np.isfinite(found).all()
    return folder / "soft"


@pytest.fixture(scope="module")
def no_figures():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mt_dnn.tracking.tensorboard.TensorBoard.takes_images", False)
        yield


@pytest.fixture(scope="module")
def student(config_in, settings, soft, tmp_path_factory) -> Trainer:
    """On the teachers alone: weight 1."""
    folder = tmp_path_factory.mktemp("students")
    distill = {"soft_labels": str(soft), "weight": 1.0}
    longer = settings | {"train": settings["train"] | {"epochs": 20}}
    return run(config_in(folder)(name="student", seed=3, **longer, distill=distill))


@pytest.mark.parametrize("name", NAMES)
def test_a_student_approaches_its_teachers(student, soft, data, name):
    distances = list(logged(student, f"train/{name}/distill").values())
    assert np.mean(distances[-3:]) < np.mean(distances[:3]) / 5
    rows = Path(data["data_dir"]) / f"{name}_train.tsv"
    predictor = mt_dnn.load(student.run_dir)
    columns = [line.split("\t") for line in rows.read_text().splitlines()]
    if name == "words":
        rows_of = [{"tokens": json.loads(cells[2])} for cells in columns]
    elif name == "pick":
        rows_of = [{"premise": cells[3], "hypothesis": cells[4:]} for cells in columns]
    else:
        rows_of = [tuple(cells[2:]) for cells in columns]
    mine = np.concatenate([centred(z, name) for z in predictor.logits(name, rows_of)])
    teachers = read_jsonl(soft / f"{name}_train.jsonl")
    theirs = np.concatenate([centred(record["logits"], name) for record in teachers])
    assert np.corrcoef(mine, theirs)[0, 1] > 0.9


def centred(logits: Any, name: str) -> np.ndarray:
    """Flat; a distribution does not see what is added to all its logits."""
    if name == "words":
        seen = [row for row in logits if row is not None and np.isfinite(row).all()]
        return np.concatenate([np.asarray(row) - np.mean(row) for row in seen])
    return np.asarray(logits) - (0 if name == "score" else np.mean(logits))


def test_the_teachers_did_see_cut_rows(student, data):
    """What the task of words is here for: cut words have no soft labels, and need none."""
    words = student.data.train["words"]
    cut = [int((starts < 0).sum()) for starts in words.take(range(len(words)))["word_starts"]]
    assert max(cut) > 0
    labels = words.take(range(len(words)))["labels"]
    soft = words.take(range(len(words)))["soft_labels"]
    for own, logits in zip(labels, soft, strict=True):
        assert (own != IGNORE).tolist() == [bool(row.any()) for row in logits]


def test_what_a_run_keeps_of_it(student):
    facts = json.loads((student.run_dir / "environment.json").read_text())["data"]
    assert len(facts["pair_train"]["soft_labels"]) == 64
    assert "soft_labels" not in facts["pair_dev"]
    manifest = student.data.train["pair"].manifest
    assert student.data.train["pair"].folder.name == f"pair_train-soft-{manifest.soft_labels[:8]}"


def test_off_is_plain_training_bit_for_bit(tiny_config, settings, soft, tmp_path):
    short = settings | {"train": {"max_steps": 6}}
    data = settings["data"] | {"store_dir": str(tmp_path / "store")}
    plain = run(tiny_config(name="plain", **short))
    zero = run(
        tiny_config(
            name="zero",
            **short | {"data": data},
            distill={"soft_labels": str(soft), "weight": 0.0},
        )
    )
    assert_same_weights(plain.model.state_dict(), zero.model.state_dict())
    assert lines(plain) == lines(zero)
    assert not [tag for line in lines(zero) for tag in line if "distill" in tag]
    assert [path.name for path in (tmp_path / "store").iterdir() if "soft" in path.name] == []


def test_a_task_without_teacher_trains_beside_one_that_has_one(
    tiny_config, settings, soft, tmp_path, capsys
):
    some = tmp_path / "soft"
    some.mkdir()
    (some / "pair_train.jsonl").write_bytes((soft / "pair_train.jsonl").read_bytes())
    distill = {"soft_labels": str(some), "temperature": 2.0, "annealing": "linear"}
    trainer = run(tiny_config(**settings | {"train": {"max_steps": 8}}, distill=distill))
    shown = " ".join(capsys.readouterr().out.split())
    assert "distillation pair from" in shown
    assert "weight 0.5 falling to 0, temperature 2" in shown
    assert logged(trainer, "train/pair/distill")
    assert logged(trainer, "train/score/loss")
    assert not logged(trainer, "train/score/distill")
    assert trainer.data.train["score"].folder.name == "score_train"


@pytest.mark.usefixtures("no_pictures")
def test_resumed_equals_uninterrupted_while_the_teacher_is_annealed(
    tiny_config, monkeypatch, data, soft
):
    everything = {
        "data": data,
        "smart": "smart",
        "batch": {"accumulate": 2},
        "train": {"log_every": 2, "epochs": 1},
        "distill": {
            "soft_labels": str(soft),
            "weight": 1.0,
            "annealing": "linear",
            "temperature": 2.0,
        },
    }
    whole = run(tiny_config(name="whole", **everything))
    config = tiny_config(name="stopped", **everything)
    interrupted(monkeypatch, config, 3)
    resumed = run(tiny_config(name="stopped", **everything, resume=True))
    assert_equal_runs(resumed, whole)


def test_the_batches_of_an_update_have_its_weight(tiny_config, monkeypatch, settings, soft):
    seen: list[float] = []
    monkeypatch.setattr(
        "mt_dnn.objective.supervised.teacher_weight",
        lambda config, progress: seen.append(progress) or config.weight,
    )
    run(
        tiny_config(
            **settings | {"batch": {"size": 8, "accumulate": 2}, "train": {"max_steps": 4}},
            distill={"soft_labels": str(soft)},
        )
    )
    assert seen == [0, 0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75]


def test_the_weight_on_the_gold_labels_is_what_the_teacher_leaves(tiny_config, settings, soft):
    """BAM's schedule, read back from a run of two updates of one batch: w = 1, then 1/2."""
    one = settings | {
        "data": settings["data"] | {"use": ("score",)},
        "batch": {"size": 16},
        "train": {"epochs": 2},
    }
    bam = {"soft_labels": str(soft), "weight": 1.0, "annealing": "linear"}
    annealed = run(tiny_config(name="annealed", **one, distill=bam))
    alone = run(tiny_config(name="alone", **one, distill=bam | {"annealing": "none"}))
    assert annealed.total_steps == 2
    first, second = (logged(trainer, "train/score/loss") for trainer in (annealed, alone))
    # The first update is that of the teacher alone, so that both see one model at the second.
    assert first == second
    different = [
        not np.array_equal(a.detach(), b.detach())
        for a, b in zip(annealed.parameters, alone.parameters, strict=True)
    ]
    assert any(different)


def test_prepro_joins_too_and_a_mistake_ends_with_code_2(data, soft, tmp_path, capsys, settings):
    args = ["--data.tasks", data["tasks"], "--data.data_dir", data["data_dir"]]
    args += ["--data.store_dir", tmp_path / "store", "--data.max_seq_len", LONG]
    args += ["--model.encoder", settings["model"]["encoder"]]
    assert call(prepro.main, *args, "--distill.soft_labels", soft) == 0
    out = capsys.readouterr().out
    assert out.count("with soft labels (0 lines of their file unused)") == len(NAMES)
    folders = {path.name for path in (tmp_path / "store").glob("[!.]*")}  # and their locks
    assert {name for name in folders if name.endswith("_dev")} == {f"{n}_dev" for n in NAMES}
    assert len([name for name in folders if "_train-soft-" in name]) == len(NAMES)
    assert call(prepro.main, *args, "--distill.soft_labels", tmp_path) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: distill.soft_labels: none of these files exists:")
    assert "Traceback" not in err


def test_a_faulty_file_stops_a_run_before_it_starts(tiny_config, settings, tmp_path):
    (tmp_path / "pair_train.jsonl").write_text('{"uid": "pair-0", "logits": [1, 2]}\n')
    with pytest.raises(UserError, match=r"no logits for 21 of the 22 examples .* uid 'pair-1'"):
        Trainer(tiny_config(**settings, distill={"soft_labels": str(tmp_path)}))
    assert not (tmp_path / "runs").exists()

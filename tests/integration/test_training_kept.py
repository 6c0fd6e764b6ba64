"""Whole runs: which model is kept, when a run stops, what it writes and when."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import mt_dnn
from data_utils.errors import UserError
from mt_dnn.training import scoring
from mt_dnn.training.best import BestModel
from mt_dnn.training.trainer import Trainer
from tests.support.runs import assert_same_weights, copy_workspace, logged, predictions, run

pytestmark = pytest.mark.usefixtures("no_pictures")


def scripted(monkeypatch: pytest.MonkeyPatch, averages: list[float]) -> None:
    """Let the evaluations of the next run have these averages."""
    values = iter(averages)
    monkeypatch.setattr(BestModel, "average", lambda self, evaluations: next(values))


def test_the_best_average_is_kept_and_predicts_the_test_set(
    tiny_config, workspace, monkeypatch, tmp_path
):
    data = copy_workspace(workspace, tmp_path / "data")
    rows = [(f"t{i}", "film was good", text) for i, text in enumerate(["bad old film", "good"])]
    text = "".join(f"{uid}\t\t{premise}\t{hypothesis}\n" for uid, premise, hypothesis in rows)
    (tmp_path / "data" / "pair_test.tsv").write_text(text)
    scripted(monkeypatch, [1.0, 3.0, 2.0])
    every = {"max_steps": 6, "eval_every": 2, "save_every": 2, "keep": 9}
    trainer = run(tiny_config(data=data, train=every))
    assert trainer.best["step"] == 4
    assert trainer.best["average"] == 3.0
    assert json.loads((trainer.run_dir / "scores.json").read_text())["step"] == 4
    assert logged(trainer, "best/average") == {2: 1.0, 4: 3.0, 6: 3.0}

    heads = load_file(trainer.run_dir / "best" / "heads.safetensors")
    at = {
        step: load_file(trainer.run_dir / "checkpoints" / f"step-{step:08d}" / "model.safetensors")
        for step in (4, 6)
    }
    name = "pair.output.weight"
    assert torch.equal(heads[name], at[4][f"heads.{name}"])
    assert not torch.equal(heads[name], at[6][f"heads.{name}"])
    assert_same_weights(trainer.model.state_dict(), at[4])

    written = predictions(trainer, "pair_test")
    answers = mt_dnn.load(trainer.run_dir).predict("pair", [row[1:] for row in rows])
    assert [record["uid"] for record in written] == ["t0", "t1"]
    for record, answer in zip(written, answers, strict=True):
        assert "gold" not in record
        assert record["prediction"] == answer.prediction
        assert record["scores"] == pytest.approx(answer.scores, abs=1e-5)


def test_equal_scores_keep_the_earlier_model(tiny_config, monkeypatch):
    scripted(monkeypatch, [2.0, 2.0])
    trainer = run(tiny_config(train={"max_steps": 4, "eval_every": 2}))
    assert trainer.best["step"] == 2


def test_patience_stops_after_evaluations_without_a_better_one(tiny_config, monkeypatch):
    scripted(monkeypatch, [1.0, 2.0, 1.5, 2.0, 9.0])
    trainer = run(tiny_config(train={"eval_every": 2, "patience": 2}))
    assert trainer.step == 8
    assert trainer.best["step"] == 4


def test_a_run_stopped_by_patience_stays_stopped(tiny_config, monkeypatch):
    scripted(monkeypatch, [2.0, 1.0, 9.0])
    options: dict[str, Any] = {"train": {"eval_every": 2, "save_every": 2, "patience": 1}}
    assert run(tiny_config(**options)).step == 4
    resumed = run(tiny_config(resume=True, **options))
    assert resumed.step == 4
    assert resumed.best["step"] == 2


def test_updates_evaluations_and_checkpoints_come_when_asked_for(tiny_config):
    trainer = run(
        tiny_config(
            train={"max_steps": 7, "eval_every": 3, "save_every": 2, "log_every": 4, "keep": 2}
        )
    )
    assert trainer.step == 7
    assert list(logged(trainer, "eval/average")) == [3, 6, 7]
    assert list(logged(trainer, "train/lr")) == [4, 7]
    assert sorted(path.name for path in (trainer.run_dir / "checkpoints").iterdir()) == [
        "step-00000006",
        "step-00000007",
    ]


def test_without_being_asked_once_an_epoch(tiny_config):
    trainer = run(tiny_config(batch={"accumulate": 2}, train={"log_every": 50, "keep": 9}))
    assert trainer.timeline.epoch_ends == [7, 14]  # 13 batches
    assert list(logged(trainer, "eval/average")) == [7, 14]
    assert len(list((trainer.run_dir / "checkpoints").iterdir())) == 2


def test_no_checkpoints_where_none_are_wanted(tiny_config):
    trainer = run(tiny_config(train={"max_steps": 2, "save_every": 0, "predictions": False}))
    assert not (trainer.run_dir / "checkpoints").exists()
    assert not (trainer.run_dir / "predictions").exists()
    assert (trainer.run_dir / "best" / "model.safetensors").exists()


def test_a_run_that_is_there_is_not_replaced_unasked(tiny_config):
    config = tiny_config(train={"max_steps": 1})
    first = run(config)
    (first.run_dir / "note.txt").write_text("mine")
    (first.run_dir / "predictions" / "old.jsonl").write_text("ours")
    (curves,) = first.run_dir.glob("events.out.*")
    others = first.run_dir / "events.out.tfevents.1.host"  # of another program
    others.write_text("")
    with pytest.raises(UserError, match=r"--resume true.*--overwrite true.*--name"):
        Trainer(config)
    assert (first.run_dir / "note.txt").exists()
    second = run(tiny_config(overwrite=True, train={"max_steps": 1}))
    assert (second.run_dir / "note.txt").exists()
    assert not (second.run_dir / "predictions" / "old.jsonl").exists()
    assert not curves.exists()
    assert others.exists()


def test_pictures_and_scalars_reach_tensorboard(tiny_config, monkeypatch):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.undo()  # with pictures
    trainer = run(tiny_config(smart="smart", train={"max_steps": 6, "log_every": 6}))
    events = EventAccumulator(str(trainer.run_dir))
    events.Reload()
    tags = events.Tags()
    assert set(tags["images"]) == {"confusion/pair", "scatter/score"}
    assert {"train/pair/loss", "smart/pair/gain", "eval/average", "train/lr"} <= set(
        tags["scalars"]
    )
    assert {"config", "tasks"} <= set(tags["tensors"])


def test_every_process_owes_the_same_predictions(tiny_config):
    """They predict together at the end, so that one with another list of data sets would wait forever."""
    trainer = Trainer(tiny_config(data={"use": ("pair",)}))
    trainer.is_main, trainer.clock = False, 0.0
    scoring.evaluate_dev(trainer)
    trainer.close()
    assert trainer.best_evaluations.keys() == {"pair"}

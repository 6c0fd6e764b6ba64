"""Whole runs on tiny data: what is learned, what a run is made of, what is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import mt_dnn
from data_utils.errors import UserError
from mt_dnn.runs.prepare import prepare
from mt_dnn.training.trainer import Trainer
from tests.support.runs import assert_same_weights, copy_workspace, predictions, run

pytestmark = pytest.mark.usefixtures("no_pictures")


# --- What is learned -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "metric"), [("pair", "ACC"), ("score", "Pearson"), ("pick", "ACC")]
)
def test_each_task_type_overfits_saves_and_predicts_the_same(
    tiny_config, still_encoder_folder, task, metric
):
    """The dev rows are training rows."""
    trainer = run(
        tiny_config(
            data={"use": (task,)},
            model={"encoder": str(still_encoder_folder), "dropout": 0.0},
            batch={"size": 8},
            optim={"lr": 3e-3, "weight_decay": 0.0},
            train={"epochs": 60, "max_steps": 100, "eval_every": 50, "log_every": 50},
        )
    )
    assert trainer.best["scores"][task][metric] > 97
    text = Path(trainer.config.data.data_dir, f"{task}_dev.tsv").read_text()
    rows = [line.split("\t") for line in text.splitlines()]
    texts = [
        {"premise": row[3], "hypothesis": row[4:]}
        if task == "pick"
        else {"premise": row[2], "hypothesis": row[3]}
        for row in rows
    ]
    answers = mt_dnn.load(trainer.run_dir).predict(task, texts)
    written = predictions(trainer, task)
    assert [record["uid"] for record in written] == [row[0] for row in rows]
    for answer, record in zip(answers, written, strict=True):
        if task == "score":
            assert answer.prediction == pytest.approx(record["prediction"], abs=1e-4)
        else:
            assert answer.prediction == record["prediction"]


# --- What a run is made of -----------------------------------------------------------------------


def test_init_from_takes_over_the_encoder_and_equal_heads(tiny_config, capsys):
    first = run(tiny_config(name="first", data={"use": ("pair", "score")}, train={"max_steps": 3}))
    capsys.readouterr()
    second = Trainer(
        tiny_config(
            name="second", data={"use": ("pair", "pick")}, model={"init_from": str(first.run_dir)}
        )
    )
    assert "heads loaded: pair; new heads: pick" in capsys.readouterr().out
    assert_same_weights(second.model.encoder.state_dict(), first.model.encoder.state_dict())
    assert_same_weights(
        second.model.heads["pair"].state_dict(), first.model.heads["pair"].state_dict()
    )
    with pytest.raises(UserError, match="not a finished run"):
        Trainer(tiny_config(name="third", model={"init_from": "nowhere"}))


def test_a_limited_training_set_is_drawn_by_the_seed(tiny_config):
    def chosen(seed: int) -> list[str]:
        data = prepare(tiny_config(seed=seed, data={"train_limit": 14}))
        assert {name: len(store) for name, store in data.train.items()} == {
            "pair": 14,
            "score": 14,
            "pick": 12,
        }
        return data.train["pair"].take(range(14))["uid"]

    assert chosen(1) == chosen(1)
    assert len(set(chosen(1))) == 14
    assert chosen(1) != chosen(2)


def test_a_tasks_examples_do_not_depend_on_the_tasks_beside_it(tiny_config):
    def chosen(*use: str, **limits: int) -> dict[str, list[str]]:
        data = {"use": use, "train_limit": 10, "train_limits": limits}
        stores = prepare(tiny_config(data=data)).train
        return {name: store.take(range(len(store)))["uid"] for name, store in stores.items()}

    both, alone = chosen("pair", "score"), chosen("score")
    assert both["score"] == alone["score"]
    limited = chosen("pair", "score", pair=12)
    assert {name: len(uids) for name, uids in limited.items()} == {"pair": 12, "score": 10}
    with pytest.raises(UserError, match=r"data.train_limits: .*no task 'par'.*'pair'"):
        chosen("pair", par=3)


SHARED = """\
pair:
  data_format: PremiseAndOneHypothesis
  task_type: Classification
  labels: [same, other]
  metric_meta: [ACC]
  head: both
pair2:
  extends: pair
"""


def test_tasks_that_share_a_head_share_its_weights(tiny_config, workspace, tmp_path):
    data = copy_workspace(workspace, tmp_path / "data", tasks=SHARED)
    for split in ("train", "dev"):
        shutil.copy(
            tmp_path / "data" / f"pair_{split}.tsv", tmp_path / "data" / f"pair2_{split}.tsv"
        )
    trainer = run(tiny_config(data=data, train={"max_steps": 6}))
    assert list(trainer.model.heads) == ["both"]
    assert trainer.best["scores"]["pair"] == trainer.best["scores"]["pair2"]
    for one, other in zip(predictions(trainer, "pair"), predictions(trainer, "pair2"), strict=True):
        assert one == other


def test_a_weight_of_zero_trains_nothing(tiny_config, workspace, tmp_path):
    tasks = (workspace / "tasks.yml").read_text().replace("pair:\n", "pair:\n  weight: 0\n")
    data = copy_workspace(workspace, tmp_path / "data", tasks=tasks)
    weights = []
    for steps in (1, 4):
        config = tiny_config(
            name=str(steps),
            data={**data, "use": ("pair",)},
            optim={"weight_decay": 0.0},
            train={"max_steps": steps},
        )
        weights.append(run(config).model.state_dict())
    assert_same_weights(*weights)


def test_frozen_parameters_stay(tiny_config):
    config = tiny_config(smart="smart", optim={"freeze": ("encoder.*",)}, train={"max_steps": 3})
    trainer = Trainer(config)
    before = {name: t.clone() for name, t in trainer.model.state_dict().items()}
    trainer.fit()
    after = trainer.model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(name.startswith("heads.") for name in changed)


# --- What is refused -----------------------------------------------------------------------------


REFUSED: dict[str, Callable[[], dict[str, Any]]] = {
    r"system\.precision: fp16 needs CUDA": lambda: {"system": {"precision": "fp16"}},
    r"optim\.freeze: 'nothing\*'": lambda: {"optim": {"freeze": ("nothing*",)}},
    "all parameters are frozen": lambda: {"optim": {"freeze": ("*",)}},
    r"optim\.lr": lambda: {"optim": {"lr": 0.0}},
    r"data\.use: .* no task 'pear'.* Did you mean 'pair'": lambda: {"data": {"use": ("pear",)}},
    r"task file .*missing\.yml": lambda: {"data": {"tasks": "missing.yml"}},
    r"smoothness\.epsilon": lambda: {"smart": "smart", "smoothness": {"epsilon": -1.0}},
    r"data\.max_seq_len: 4096": lambda: {"data": {"max_seq_len": 4096, "store_dir": None}},
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_the_user_can_mend_is_named_before_a_run_directory_exists(
    tiny_config, workspace, tmp_path, message
):
    changes = REFUSED[message]()
    if "store_dir" in changes.get("data", {}):
        changes["data"]["store_dir"] = str(tmp_path / "store")
    with pytest.raises(UserError, match=message):
        Trainer(tiny_config(**changes))
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_here_is_refused(tiny_config, device):
    here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if here[device]:
        pytest.skip(f"{device} is here")
    with pytest.raises(UserError, match=rf"system\.device: {device} .* Choices: auto, .*cpu"):
        Trainer(tiny_config(system={"device": device}))

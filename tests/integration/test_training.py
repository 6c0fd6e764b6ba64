"""Whole runs on tiny data: what is learned, what is the same as what, what is kept, what is refused."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

import mt_dnn
from data_utils.collator import Batch
from data_utils.registry import UserError
from mt_dnn import trainer as trainer_module
from mt_dnn.assemble import assemble, build_loader
from mt_dnn.command import parse_config
from mt_dnn.config import MixingConfig, RunConfig
from mt_dnn.devices import build_accelerator
from mt_dnn.randomness import step_seed
from mt_dnn.resolve import resolve_config
from mt_dnn.trainer import Trainer

pytestmark = pytest.mark.usefixtures("no_pictures")


def run(config: RunConfig) -> Trainer:
    trainer = Trainer(config)
    trainer.fit()
    return trainer


def lines(trainer: Trainer) -> list[dict[str, Any]]:
    text = (trainer.run_dir / "metrics.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def logged(trainer: Trainer, tag: str) -> dict[int, float]:
    """Step -> value."""
    return {line["step"]: line[tag] for line in lines(trainer) if tag in line}


def predictions(trainer: Trainer, name: str) -> list[dict[str, Any]]:
    text = (trainer.run_dir / "predictions" / f"{name}.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def assert_same_weights(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


def copy_workspace(workspace: Path, folder: Path, *, tasks: str | None = None) -> dict[str, str]:
    """The settings under ``data`` for a copy of the rows, with another task file."""
    folder.mkdir()
    for path in [*workspace.glob("*.tsv"), workspace / "tasks.yml"]:
        shutil.copy(path, folder)
    if tasks is not None:
        (folder / "tasks.yml").write_text(tasks)
    paths = {"tasks": "tasks.yml", "store_dir": "store", "data_dir": ""}
    return {key: str(folder / name) for key, name in paths.items()}


# --- What is learned ---------------------------------------------------------------------------


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
            train={"epochs": 40, "max_steps": 60, "eval_every": 20, "log_every": 20},
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
            assert answer.label == pytest.approx(record["prediction"], abs=1e-4)
        else:
            assert answer.label == record["prediction"]


@pytest.mark.parametrize("name", get_args(get_type_hints(MixingConfig)["name"]))
def test_every_mixture_trains_with_smart_on(tiny_config, name):
    trainer = run(
        tiny_config(smart="smart", mixing={"name": name}, train={"epochs": 1, "log_every": 50})
    )
    assert trainer.step == trainer.total_steps == trainer.loader.sampler.num_batches(0)
    for task in ("pair", "score", "pick"):
        assert math.isfinite(logged(trainer, f"train/{task}/smoothness")[trainer.step])


@pytest.mark.parametrize("preset", ["mtdnn_release", "r3f", "freelb", "rdrop", "pdr_js"])
def test_every_preset_trains(tiny_config, preset):
    trainer = run(tiny_config(smart=preset, train={"max_steps": 6, "log_every": 6}))
    for task in trainer.parts.tasks:
        assert logged(trainer, f"smart/{task}/dropped") == {6: 0.0}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_ascent_ascends_on_a_trained_model(tiny_config, still_encoder_folder, precision):
    """Under bf16 too: the term runs in float32, where a radius of 1e-5 is not rounded away."""
    trainer = run(
        tiny_config(
            smart="smart",
            model={"encoder": str(still_encoder_folder)},
            system={"precision": precision},
            train={"max_steps": 24, "log_every": 12},
        )
    )
    assert logged(trainer, "train/lr")
    for task in trainer.parts.tasks:
        assert logged(trainer, f"smart/{task}/gain")[24] > 1
        assert logged(trainer, f"smart/{task}/dropped")[24] == 0


# --- What is the same as what ------------------------------------------------------------------


def plain_loop(config: RunConfig) -> tuple[dict[str, Tensor], list[float]]:
    """Final weights and losses of a loop that has never heard of SMART, accelerate or Trainer."""
    config = resolve_config(config)
    parts = assemble(config, lambda line: None)
    model = parts.model.train()
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim == 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}],
        lr=config.optim.lr,
        fused=True,
    )
    loader = build_loader(config, parts, build_accelerator(config.system))
    total = config.train.epochs * loader.sampler.num_batches(0)
    warmup, losses = round(0.1 * total), []
    while loader.epoch < config.train.epochs:
        for batch in loader.epoch_batches():
            step = len(losses)
            factor = (
                (step + 1) / warmup if step < warmup else 1 - (step - warmup) / (total - warmup)
            )
            for group in optimizer.param_groups:
                group["lr"] = config.optim.lr * factor
            torch.manual_seed(step_seed(config.seed, step, 0, 0))
            logits = model(batch)
            if batch.task == "pair":
                loss = F.cross_entropy(logits, batch.labels)
            elif batch.task == "score":
                loss = (logits - batch.labels[:, None]).square().mean()
            else:
                loss = model.task_types["pick"].loss(logits, batch)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
    return model.state_dict(), losses


def test_off_is_plain_training_bit_for_bit(tiny_config):
    """So are a preset with both weights at 0, and a run that logs and evaluates at other times."""
    weights, losses = plain_loop(tiny_config())
    off = run(tiny_config(name="off"))
    zero = run(
        tiny_config(
            name="zero",
            smart="smart",
            smoothness={"weight": 0.0},
            proximal={"weight": 0.0},
            train={"log_every": 7, "eval_every": 5, "save_every": 3},
        )
    )
    assert_same_weights(off.model.state_dict(), weights)
    assert_same_weights(zero.model.state_dict(), weights)
    mine = {
        step: value
        for t in off.parts.tasks
        for step, value in logged(off, f"train/{t}/loss").items()
    }
    assert mine == dict(enumerate(losses, start=1))


def gradients_at_step(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> list[Tensor | None]:
    """Run one update; the gradients that the optimizer was given."""
    seen: list[Tensor | None] = []
    monkeypatch.setattr(
        trainer.optimizer,
        "step",
        lambda: seen.extend(None if p.grad is None else p.grad.clone() for p in trainer.parameters),
    )
    trainer.update(next(trainer.updates()))
    return seen


@pytest.mark.parametrize("smart", ["off", "smart"])
def test_accumulation_is_the_mean_of_the_batches_gradients(tiny_config, monkeypatch, smart):
    config = tiny_config(smart=smart, batch={"accumulate": 2}, optim={"clip_norm": 0.0})
    trainer = Trainer(config)
    first, second = next(Trainer(tiny_config(name="b", batch={"accumulate": 2})).updates())
    expected: list[Tensor | None] = [None] * len(trainer.parameters)
    trainer.model.train()
    for index, batch in enumerate((first, second)):
        loss = trainer.objective(batch, seed=step_seed(config.seed, 0, index, 0)).total
        parts = torch.autograd.grad(loss, trainer.parameters, allow_unused=True)
        expected = [
            e if g is None else g / 2 if e is None else e + g / 2
            for e, g in zip(expected, parts, strict=True)
        ]
    found = gradients_at_step(trainer, monkeypatch)
    for mine, theirs in zip(found, expected, strict=True):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-7)


def test_the_gradient_is_clipped_with_smart_on(tiny_config, monkeypatch):
    trainer = Trainer(tiny_config(smart="smart", optim={"clip_norm": 1e-3}))
    found = gradients_at_step(trainer, monkeypatch)
    norm = torch.linalg.vector_norm(torch.cat([g.flatten() for g in found if g is not None]))
    assert norm == pytest.approx(1e-3, rel=1e-2)
    assert trainer.window.read()["train/grad_norm"] > 1e-2  # logged as it was before


def test_gradient_checkpointing_changes_no_loss(tiny_config):
    """With dropout: the recomputed passes draw the same masks."""
    plain, recomputed = (
        run(
            tiny_config(
                name=str(on),
                smart="smart",
                model={"gradient_checkpointing": on},
                train={"max_steps": 6},
            )
        )
        for on in (False, True)
    )
    for task in plain.parts.tasks:
        tag = f"train/{task}/loss"
        assert logged(recomputed, tag) == pytest.approx(logged(plain, tag), rel=1e-5)


def test_the_written_configuration_runs_it_again(tiny_config):
    first = run(tiny_config(name="first", smart="smart", train={"max_steps": 5}, overwrite=True))
    path = str(first.run_dir / "config.yml")
    again = run(parse_config(["--config", path, "--name", "again"]))
    assert_same_weights(again.model.state_dict(), first.model.state_dict())
    metrics = [trainer.run_dir / "metrics.jsonl" for trainer in (first, again)]
    assert metrics[0].read_bytes() == metrics[1].read_bytes()
    with pytest.raises(UserError, match="holds a run already"):
        Trainer(parse_config(["--config", path]))


def test_a_step_never_waits_for_the_device(tiny_config, monkeypatch):
    """No float or bool tensor is read while updating; the host's own integers may be."""
    trainer = Trainer(tiny_config(smart="smart", batch={"accumulate": 2}, train={"log_every": 50}))
    updates = trainer.updates()
    read: list[str] = []

    def watch(name: str) -> None:
        original = getattr(Tensor, name)

        def method(self: Tensor, *args: Any, **kwargs: Any) -> Any:
            if self.dtype != torch.int64:
                read.append(name)
            return original(self, *args, **kwargs)

        monkeypatch.setattr(Tensor, name, method)

    for name in ("item", "tolist", "cpu", "numpy", "__bool__", "__float__", "__int__", "__array__"):
        watch(name)
    for _ in range(4):
        trainer.update(next(updates))
    assert read == []
    trainer.window.read()
    assert read == ["tolist"]  # so the watch works


# --- SMART's bad batches -----------------------------------------------------------------------


def test_a_batch_without_a_finite_smoothness_term_is_dropped_and_training_goes_on(
    tiny_config, capsys
):
    trainer = Trainer(tiny_config(smart="smart", proximal={"weight": 0.0}))
    kind, spoiled = trainer.model.task_types["pair"], set()
    divergence = kind.divergence

    def infinite(p: Tensor, q: Tensor, batch: Batch, **options: Any) -> Tensor:
        value = divergence(p, q, batch, **options)
        if "pair-3" in batch.uids:
            spoiled.add(tuple(batch.uids))
            return value * math.inf
        return value

    kind.divergence = infinite
    trainer.fit()
    assert len(spoiled) == 2  # once an epoch
    dropped = logged(trainer, "smart/pair/dropped")
    assert sorted(dropped.values())[-3:] == [0.0, 1.0, 1.0]
    bad = [step for step, value in dropped.items() if value]
    assert all(logged(trainer, "train/pair/smoothness")[step] == 0 for step in bad)
    assert all(math.isfinite(v) for v in logged(trainer, "train/grad_norm").values())
    assert all(t.isfinite().all() for t in trainer.model.state_dict().values())
    assert trainer.step == trainer.total_steps
    assert ", 2 batches dropped" in capsys.readouterr().out


# --- What is kept ------------------------------------------------------------------------------


def scripted(monkeypatch: pytest.MonkeyPatch, averages: list[float]) -> None:
    """Let the evaluations of the next run have these averages."""
    values = iter(averages)
    monkeypatch.setattr(trainer_module, "average", lambda evaluations: next(values))


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
        assert record["prediction"] == answer.label
        assert record["scores"] == pytest.approx(list(answer.scores.values()), abs=1e-5)


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
    with pytest.raises(UserError, match=r"--resume true.*--overwrite true.*--name"):
        Trainer(config)
    assert (first.run_dir / "note.txt").exists()
    second = run(tiny_config(overwrite=True, train={"max_steps": 1}))
    assert not (second.run_dir / "note.txt").exists()


def test_pictures_and_scalars_reach_tensorboard(tiny_config, monkeypatch):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.undo()  # with pictures
    trainer = run(tiny_config(smart="smart", train={"max_steps": 6, "log_every": 6}))
    events = EventAccumulator(str(trainer.run_dir / "tensorboard"))
    events.Reload()
    tags = events.Tags()
    assert set(tags["images"]) == {"confusion/pair", "scatter/score"}
    assert {"train/pair/loss", "smart/pair/gain", "eval/average", "train/lr"} <= set(
        tags["scalars"]
    )
    assert {"config", "tasks"} <= set(tags["tensors"])


# --- What a run is made of ---------------------------------------------------------------------


def test_init_from_takes_over_the_encoder_and_equal_heads(tiny_config, capsys):
    first = run(tiny_config(name="first", data={"use": ("pair", "score")}, train={"max_steps": 3}))
    capsys.readouterr()
    second = Trainer(
        tiny_config(
            name="second", data={"use": ("pair", "pick")}, model={"init_from": str(first.run_dir)}
        )
    )
    assert "heads taken over: pair; new: pick" in capsys.readouterr().out
    assert_same_weights(second.model.encoder.state_dict(), first.model.encoder.state_dict())
    assert_same_weights(
        second.model.heads["pair"].state_dict(), first.model.heads["pair"].state_dict()
    )
    with pytest.raises(UserError, match="not a finished run"):
        Trainer(tiny_config(name="third", model={"init_from": "nowhere"}))


def test_a_limited_training_set_is_drawn_by_the_seed(tiny_config):
    def chosen(seed: int) -> list[str]:
        parts = assemble(
            resolve_config(tiny_config(seed=seed, data={"train_limit": 14})), lambda line: None
        )
        assert {name: len(store) for name, store in parts.train.items()} == {
            "pair": 14,
            "score": 14,
            "pick": 12,
        }
        return parts.train["pair"].take(range(14))["uid"]

    assert chosen(1) == chosen(1)
    assert len(set(chosen(1))) == 14
    assert chosen(1) != chosen(2)


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


# --- What is refused ---------------------------------------------------------------------------


REFUSED: dict[str, Callable[[], dict[str, Any]]] = {
    r"system\.precision: fp16 needs CUDA": lambda: {"system": {"precision": "fp16"}},
    r"optim\.freeze: 'nothing\*'": lambda: {"optim": {"freeze": ("nothing*",)}},
    "leaves nothing to train": lambda: {"optim": {"freeze": ("*",)}},
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

"""Whole runs with SMART: every mixture and preset, the ascent, bad batches."""

from __future__ import annotations

import math
from typing import Any, get_args, get_type_hints

import pytest
from torch import Tensor

from data_utils.collator import Batch
from mt_dnn.config.run import MixingConfig
from mt_dnn.training.trainer import Trainer
from tests.support.runs import logged, run

pytestmark = pytest.mark.usefixtures("no_pictures")


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
    for task in trainer.data.tasks:
        assert logged(trainer, f"smart/{task}/dropped") == {6: 0.0}


def test_the_run_prints_its_numbers_and_what_replaces_a_divergence(tiny_config, capsys):
    run(tiny_config(smart="pdr_js", smoothness={"epsilon": 1e-4}, train={"max_steps": 1}))
    printed = " ".join(capsys.readouterr().out.split())
    note = "note: smoothness.divergence js: score: squared_error, because js does not fit a number"
    assert note in printed
    assert "epsilon 0.0001 (linf per sentence), step_size 0.01, steps 1, sigma 0.0001" in printed
    run(tiny_config(smart="smart", train={"max_steps": 1}, name="other"))
    assert "smoothness.divergence" not in capsys.readouterr().out


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
    for task in trainer.data.tasks:
        assert logged(trainer, f"smart/{task}/gain")[24] > 1
        assert logged(trainer, f"smart/{task}/dropped")[24] == 0


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

"""Runs with an adapter: resumed, predicted, averaged, continued."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_model

import mt_dnn
from mt_dnn.encoders.adapters import AdaptedEncoder
from mt_dnn.encoders.load import load_encoder
from mt_dnn.publish.average import average
from mt_dnn.training.assemble import build_model
from mt_dnn.training.checkpoint_folders import checkpoint_folders
from tests.support.interrupted import assert_equal_runs, interrupted
from tests.support.runs import assert_same_weights, run

pytestmark = pytest.mark.usefixtures("no_pictures")

ADAPTER: dict[str, Any] = {"adapter": "lora", "adapter_options": {"r": 2, "dropout": 0.1}}
PLUGINS = str(Path(__file__).parents[1] / "support" / "plugin")


@pytest.mark.usefixtures("registries")
def test_a_run_with_an_adapter(tiny_config, encoder_folder, monkeypatch, tmp_path, capsys):
    """SMART, combined gradients, gradient checkpointing, layer-wise rates; stopped and resumed."""
    monkeypatch.syspath_prepend(PLUGINS)
    settings: dict[str, Any] = {
        "smart": "smart",
        "plugins": ("graded",),
        "data": {"use": ("pair", "score")},
        "model": {"encoder": str(encoder_folder), "gradient_checkpointing": True, **ADAPTER},
        "batch": {"size": 4, "eval_size": 5, "accumulate": 2},
        "optim": {"lr": 5e-2, "layer_decay": 0.5, "combine": "pcgrad"},
        "train": {"epochs": 1, "log_every": 1, "save_every": 2, "keep": 9},
    }
    whole = run(tiny_config(name="whole", **settings))
    printed = " ".join(capsys.readouterr().out.split())
    assert "of 0.0M, adapter lora" in printed
    assert f"4 x 2; {whole.total_steps} updates" in printed
    config = tiny_config(name="stopped", **settings)
    interrupted(monkeypatch, config, 3)
    resumed = run(dataclasses.replace(config, resume=True))
    assert_equal_runs(resumed, whole)
    start = load_encoder(str(encoder_folder)).model.state_dict()
    for name, weight in whole.model.encoder.model.named_parameters():
        if ".lora_" not in name:
            assert torch.equal(weight, start[name.replace(".base_layer.", ".")]), name
        elif ".lora_B." in name:
            assert weight.any(), name

    # predictions of the model folder, which is merged, are those of the run
    loaded = mt_dnn.load(whole.run_dir, plugins=["graded"])
    rows = [("alpha beta", "gamma"), ("delta", "beta alpha gamma")]
    with torch.no_grad():
        own = whole.model.eval()(whole.model.batch("pair", rows, max_seq_len=64))
    assert loaded.logits("pair", rows) == pytest.approx(own.numpy(), abs=1e-4)

    # the mean of checkpoints is that of their merged weights
    folders = checkpoint_folders(whole.run_dir)
    assert len(folders) > 1
    average([str(whole.run_dir)], str(tmp_path / "mean"), checkpoints=True, plugins=["graded"])
    states = []
    for folder in folders:
        load_model(whole.model, folder / "model.safetensors")
        states.append(whole.model.encoder.weights())
    found = mt_dnn.load(tmp_path / "mean", plugins=["graded"]).model.encoder.weights()
    for name, weight in found.items():
        torch.testing.assert_close(weight, sum(state[name] for state in states) / len(states))

    # a run continues from it, with and without an adapter
    for model in (ADAPTER, {}):
        start_from = {"encoder": str(encoder_folder), "init_from": str(whole.run_dir), **model}
        config = tiny_config(model=start_from)
        began = build_model(config, whole.model.tasks, whole.data.tokenizer, lambda line: None)
        assert isinstance(began.encoder, AdaptedEncoder) == bool(model)
        assert_same_weights(began.encoder.weights(), loaded.model.encoder.weights())
        assert_same_weights(began.heads.state_dict(), loaded.model.heads.state_dict())

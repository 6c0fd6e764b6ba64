"""Runs with an adapter on disk: complete without PEFT, exported, averaged."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoTokenizer

import mt_dnn
from data_utils.errors import UserError
from mt_dnn.config.run import ModelConfig, RunConfig
from mt_dnn.encoders.adapters import adapted
from mt_dnn.encoders.encoder import Encoder
from mt_dnn.encoders.pretrained import load_tokenizer
from mt_dnn.model import MTDNN
from mt_dnn.publish.average import average
from mt_dnn.publish.export import export
from mt_dnn.runs.adapter_base import name_base
from mt_dnn.runs.model_folder import load_best, save_model_folder
from tests.support.adapters import lora, move
from tests.support.encoders import ARCHITECTURES, tiny_encoder_folder
from tests.support.model_folders import tasks_of

TASKS = """\
pair: {data_format: PremiseAndOneHypothesis, task_type: Classification, labels: [same, other], metric_meta: [ACC]}
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> dict[str, Any]:
    """Two model folders with an adapter, as runs leave them, and their models."""
    root = tmp_path_factory.mktemp("saved")
    encoder = tiny_encoder_folder(root / "encoder")
    tasks = tasks_of(root, TASKS)
    models = {}
    for seed, name in enumerate("ab"):
        config = RunConfig(name=name, model=ModelConfig(str(encoder), adapter="lora"))
        torch.manual_seed(0)
        model = MTDNN.from_pretrained(encoder, tasks, config.model)
        move(model, seed)
        save_model_folder(
            root / name,
            model=model,
            tokenizer=load_tokenizer(str(encoder)),
            config=config,
            step=1,
            scores={},
        )
        models[name] = model
    return {"root": root, "encoder": encoder, "tasks": tasks, **models}


ROWS = [("alpha beta", "gamma"), ("delta", "beta alpha gamma")]


def test_a_model_folder_is_complete_without_peft(saved, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    run = mt_dnn.load(saved["root"] / "a")
    assert type(run.model.encoder) is Encoder
    expected = saved["a"](saved["a"].batch("pair", ROWS, max_seq_len=32)).detach().numpy()
    assert run.logits("pair", ROWS) == pytest.approx(expected, abs=1e-5)
    AutoModel.from_pretrained(saved["root"] / "a")
    assert "Trained as an adapter (lora), merged" in (saved["root"] / "a" / "README.md").read_text()
    assert run.embeddings(["alpha"]).shape == (1, 32)
    both = mt_dnn.load([saved["root"] / "a", saved["root"] / "b"])
    assert both.logits("pair", ROWS).shape == (2, 2)


def test_the_best_model_is_restored_to_the_last_bit(saved):
    torch.manual_seed(9)
    model = MTDNN.from_pretrained(saved["encoder"], saved["tasks"], lora())
    load_best(saved["root"] / "a", model)
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, saved["a"].state_dict()[name]), name


def test_another_adapter_is_not_loaded(saved, tmp_path):
    model = MTDNN.from_pretrained(saved["encoder"], saved["tasks"], lora(r=4))
    with pytest.raises(UserError, match=r"does not fit model\.adapter_options: .* is \(8, 32\) in"):
        model.encoder.load_weights(saved["root"] / "a")
    with pytest.raises(UserError, match=r"adapter_model\.safetensors is missing or damaged"):
        model.encoder.load_weights(tmp_path)


def test_an_export_is_merged(saved, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    assert export(str(saved["root"] / "a"), str(tmp_path / "out")) == "AutoModel"
    assert not (tmp_path / "out" / "adapter").exists()
    own = AutoModel.from_pretrained(tmp_path / "out").eval()
    batch = saved["a"].batch("pair", ROWS)
    inputs = {key: getattr(batch, key) for key in ("input_ids", "attention_mask", "token_type_ids")}
    with torch.no_grad():
        found = own(**inputs).last_hidden_state
        expected = saved["a"].encode(saved["a"].embed(batch), batch)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_an_export_apart_is_loaded_by_peft(saved, tmp_path, recwarn):
    from peft import AutoPeftModelForFeatureExtraction, PeftModel

    out = tmp_path / "out"
    assert export(str(saved["root"] / "a"), str(out), adapter="apart") == "PeftModel"
    export(str(saved["root"] / "a"), str(out), adapter="apart", overwrite=True)
    assert not list(out.glob("model*"))
    card = (out / "README.md").read_text()
    assert f'model = AutoModel.from_pretrained("{saved["encoder"]}")' in card
    assert 'model = PeftModel.from_pretrained(model, "out")' in card
    assert AutoTokenizer.from_pretrained(out).is_fast
    batch = saved["a"].batch("pair", ROWS)
    inputs = {key: getattr(batch, key) for key in ("input_ids", "attention_mask", "token_type_ids")}
    expected = saved["a"].encode(saved["a"].embed(batch), batch).detach()
    base = AutoModel.from_pretrained(saved["encoder"])
    recwarn.clear()
    for own in (
        PeftModel.from_pretrained(base, out),
        AutoPeftModelForFeatureExtraction.from_pretrained(out),
    ):
        with torch.no_grad():
            found = own.eval()(**inputs).last_hidden_state
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    assert not [w for w in recwarn if "missing" in str(w.message)]  # no adapter on the pooler


def test_an_export_apart_is_refused_with_the_reason(saved, tmp_path):
    run, out = str(saved["root"] / "a"), str(tmp_path / "out")
    with pytest.raises(UserError, match=r"without heads; leave out --task"):
        export(run, out, adapter="apart", task="pair")
    average([run, str(saved["root"] / "b")], str(tmp_path / "soup"))
    with pytest.raises(UserError, match=r"has no adapter to export apart: it was trained without"):
        export(str(tmp_path / "soup"), out, adapter="apart")
    weights = saved["encoder"] / "model.safetensors"
    before = weights.read_bytes()
    changed = load_file(weights)
    changed["encoder.layer.0.output.dense.weight"] *= 2
    try:
        save_file(changed, weights, metadata={"format": "pt"})
        with pytest.raises(UserError, match=r"the encoder has changed since\. Nothing is written"):
            export(run, out, adapter="apart")
    finally:
        weights.write_bytes(before)
    assert not Path(out).exists()


def test_an_average_is_that_of_the_merged_weights(saved, tmp_path):
    runs = [str(saved["root"] / name) for name in "ab"]
    average(runs, str(tmp_path / "soup"))
    found = mt_dnn.load(tmp_path / "soup").model.encoder.weights()
    one, other = saved["a"].encoder.weights(), saved["b"].encoder.weights()
    for name, weight in found.items():
        torch.testing.assert_close(weight, (one[name] + other[name]) / 2)
    query = "encoder.layer.0.attention.self.query.weight"
    assert not torch.allclose(one[query], other[query], atol=1e-3)


def test_the_folder_names_the_encoder(saved):
    own = saved["root"] / "a" / "adapter"
    settings = json.loads((own / "adapter_config.json").read_text())
    assert settings["base_model_name_or_path"] == str(saved["encoder"])
    assert settings["target_modules"] == sorted(settings["target_modules"])
    assert settings["inference_mode"] is True
    size = sum(file.stat().st_size for file in own.iterdir())
    assert size < (saved["root"] / "a" / "model.safetensors").stat().st_size / 2


def test_a_package_is_named_and_not_its_folder_here(saved, tmp_path, monkeypatch):
    """``package:tiny`` stands for the encoder of the runs, as if a package had that folder."""
    monkeypatch.setattr("mt_dnn.encoders.pretrained._package_folder", lambda name: saved["encoder"])
    config = RunConfig(name="p", model=ModelConfig("package:tiny", adapter="lora"))
    tokenizer = load_tokenizer("package:tiny")
    run = tmp_path / "p"
    save_model_folder(run, model=saved["a"], tokenizer=tokenizer, config=config, step=1, scores={})
    path = run / "adapter" / "adapter_config.json"
    settings = json.loads(path.read_text())
    assert settings["base_model_name_or_path"] == "package:tiny"
    older = settings | {"base_model_name_or_path": str(saved["encoder"])}
    path.write_text(json.dumps(older))
    export(str(run), str(tmp_path / "out"), adapter="apart")
    written = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert written["base_model_name_or_path"] == "package:tiny"
    card = (tmp_path / "out" / "README.md").read_text()
    assert 'AutoModel.from_pretrained(resolve_encoder("package:tiny"))' in card
    assert "from mt_dnn.encoders.pretrained import resolve_encoder  # in the package tiny" in card
    assert str(saved["encoder"]) not in card
    path.write_text(json.dumps(settings | {"base_model_name_or_path": "runs/before/best"}))
    name_base(run / "adapter", "package:tiny")  # a run that started from another
    assert json.loads(path.read_text())["base_model_name_or_path"] == "runs/before/best"


def test_a_pooler_that_the_run_has_not_is_not_adapted_by_peft(tmp_path):
    """PEFT shortens 20 names and more, to ends that may fit the pooler of the published encoder."""
    from peft import PeftModel

    config = ARCHITECTURES["bert"]()
    config.num_hidden_layers = 4
    adapted(Encoder.from_config(config), lora()).save_pretrained(tmp_path)
    own = PeftModel.from_pretrained(AutoModel.from_config(config), tmp_path / "adapter")
    changed = {name.split(".lora_")[0] for name in own.state_dict() if ".lora_" in name}
    assert len(changed) == 24
    assert not [name for name in changed if "pooler" in name]

"""NEZHA's files: published under several names, saved without a prefix."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import transformers as hf
from safetensors.torch import load_file, save_file

from mt_dnn.encoders import nezha
from mt_dnn.encoders.load import load_encoder
from mt_dnn.encoders.pretrained import load_tokenizer
from tests.support.nezha import HEADS, HIDDEN, SIZES, VOCAB, batch, tiny_model

CONSTANTS = {
    "embeddings.position_ids": torch.arange(32)[None],
    "encoder.layer.0.attention.self.relative_positions_encoding.positions_encoding": torch.zeros(
        32, 32, HIDDEN // HEADS
    ),
}
"""What files of older transformers releases hold besides weights."""


def published(folder: Path, prefix: str, *, legacy_norms: bool = False) -> nezha.NezhaModel:
    """Write a checkpoint as NEZHA's are named and laid out; returns the model in it."""
    model = tiny_model()
    state = {f"{prefix}{name}": t.clone() for name, t in (model.state_dict() | CONSTANTS).items()}
    state |= {"cls.predictions.bias": torch.zeros(VOCAB)}
    if legacy_norms:
        names = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
        for new, old in names.items():
            state = {name.replace(new, old): tensor for name, tensor in state.items()}
    folder.mkdir(exist_ok=True)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    config = {
        "architectures": ["NezhaForPreTraining"],
        "model_type": "nezha",
        "attention_probs_dropout_prob": 0.1,
        "bos_token_id": 2,
        "classifier_dropout": 0.1,
        "eos_token_id": 3,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "initializer_range": 0.02,
        "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
        "type_vocab_size": 2,
        "use_cache": True,
        "use_relative_position": True,
    }
    (folder / "config.json").write_text(json.dumps(config | SIZES))
    return model


every_layout = pytest.mark.parametrize(
    ("prefix", "legacy_norms"),
    [("nezha.", False), ("nezha.", True), ("bert.", False), ("bert.", True), ("", False)],
)


@every_layout
@torch.no_grad()
def test_published_names_are_read_whole(prefix, legacy_norms, tmp_path):
    model = published(tmp_path, prefix, legacy_norms=legacy_norms)
    encoder = load_encoder(str(tmp_path))
    expected = {k: v for k, v in model.state_dict().items() if not k.startswith("pooler.")}
    loaded = encoder.model.state_dict()
    assert loaded.keys() == expected.keys()
    assert all(torch.equal(loaded[name], expected[name]) for name in expected)
    pooler = encoder.pooler_weights()
    assert pooler is not None
    assert torch.equal(pooler[0], model.state_dict()["pooler.dense.weight"])
    assert torch.equal(pooler[1], model.state_dict()["pooler.dense.bias"])
    inputs = batch()
    assert torch.equal(encoder.model(**inputs)[0], model(**inputs)[0])
    _, info = hf.AutoModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    assert info["unexpected_keys"] == {"cls.predictions.bias"}  # constants need no mention


@every_layout
@torch.no_grad()
def test_saved_folder_is_read_again(prefix, legacy_norms, tmp_path):
    model = published(tmp_path / "published", prefix, legacy_norms=legacy_norms)
    load_encoder(str(tmp_path / "published")).save_pretrained(tmp_path / "saved")
    again, info = hf.AutoModel.from_pretrained(tmp_path / "saved", output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert type(again) is nezha.NezhaModel
    assert again.config.max_relative_position == SIZES["max_relative_position"]
    inputs, expected = batch(), model(**batch())
    assert torch.equal(again(**inputs).last_hidden_state, expected.last_hidden_state)
    assert torch.equal(again(**inputs).pooler_output, expected.pooler_output)


def test_a_new_model_is_saved_without_a_prefix(tmp_path):
    model = tiny_model()
    model.save_pretrained(tmp_path)
    saved, expected = load_file(tmp_path / "model.safetensors"), model.state_dict()
    assert saved.keys() == expected.keys()
    assert all(torch.equal(saved[name], expected[name]) for name in expected)


def test_tokenizer_is_berts(tmp_path):
    published(tmp_path, "nezha.")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "中", "文", "film", "##s"]
    (tmp_path / "vocab.txt").write_text("".join(f"{word}\n" for word in words), encoding="utf-8")
    tokenizer = load_tokenizer(str(tmp_path))
    pieces = tokenizer.convert_ids_to_tokens(tokenizer("中文 Films")["input_ids"])
    assert pieces == ["[CLS]", "中", "文", "film", "##s", "[SEP]"]

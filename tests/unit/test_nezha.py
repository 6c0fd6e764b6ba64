"""NEZHA: its formula in numpy, what relative positions promise, and the published files' names."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from safetensors.torch import load_file, save_file
from scipy.special import erf, softmax
from torch import Tensor

from mt_dnn.encoders import nezha
from mt_dnn.encoders.encoder import Encoder
from mt_dnn.encoders.load import load_encoder
from mt_dnn.encoders.pretrained import load_tokenizer

VOCAB, HEADS, HIDDEN = 50, 2, 16
SIZES: dict[str, Any] = {
    "vocab_size": VOCAB,
    "hidden_size": HIDDEN,
    "num_hidden_layers": 2,
    "num_attention_heads": HEADS,
    "intermediate_size": 24,
    "max_position_embeddings": 32,
    "max_relative_position": 3,
}
CONSTANTS = {
    "embeddings.position_ids": torch.arange(32)[None],
    "encoder.layer.0.attention.self.relative_positions_encoding.positions_encoding": torch.zeros(
        32, 32, HIDDEN // HEADS
    ),
}
"""What files of older transformers releases hold besides weights."""


def tiny_model(**changes: Any) -> nezha.NezhaModel:
    """In eval mode, every parameter away from its usual 0 or 1."""
    model = nezha.NezhaModel(nezha.NezhaConfig(**SIZES | changes)).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.0, 0.3, generator=generator)
    return model


def tiny_encoder() -> Encoder:
    return Encoder(tiny_model())


def batch(lengths: tuple[int, ...] = (9, 6, 1)) -> dict[str, Tensor]:
    width = max(lengths)
    ids = torch.randint(1, VOCAB, (len(lengths), width), generator=torch.Generator().manual_seed(1))
    mask = (torch.arange(width) < torch.tensor(lengths)[:, None]).long()
    types = (torch.arange(width) >= 3).long() * mask
    return {"input_ids": ids * mask, "attention_mask": mask, "token_type_ids": types}


def formula(length: int, depth: int, max_distance: int) -> np.ndarray:
    """a_ij one number at a time."""
    table = np.zeros((length, length, depth))
    for i in range(length):
        for j in range(length):
            p = min(max(j - i, -max_distance), max_distance) + max_distance
            for k in range(0, depth, 2):
                table[i, j, k] = np.sin(p / 10000 ** (k / depth))
                table[i, j, k + 1] = np.cos(p / 10000 ** (k / depth))
    return table


@pytest.mark.parametrize(("length", "depth", "maximum"), [(6, 8, 3), (4, 2, 64), (150, 16, 64)])
def test_relative_encoding_is_its_formula(length, depth, maximum):
    encoding = nezha.relative_encoding(length, depth, max_distance=maximum)
    assert encoding.dtype == torch.float32
    np.testing.assert_allclose(encoding, formula(length, depth, maximum), atol=1e-5)


def test_distances_beyond_the_clip_share_their_encoding():
    encoding = nezha.relative_encoding(9, 8, max_distance=3)
    by_distance = {j - i: encoding[i, j] for i in range(9) for j in range(9)}
    for i in range(9):
        for j in range(9):
            assert torch.equal(encoding[i, j], by_distance[min(max(j - i, -3), 3)])
    within = torch.stack([by_distance[distance] for distance in range(-3, 4)])
    assert len(within.unique(dim=0)) == 7


def layer_norm(x: np.ndarray, weights: dict[str, np.ndarray], name: str) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
    return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def one_layer(weights: dict[str, np.ndarray], ids: list[int], types: list[int]) -> np.ndarray:
    """The whole model of one layer, on one sentence without padding, pair by pair."""

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    x = weights["embeddings.word_embeddings.weight"][ids]
    x = x + weights["embeddings.token_type_embeddings.weight"][types]
    x = layer_norm(x, weights, "embeddings.LayerNorm")
    length, depth = len(ids), HIDDEN // HEADS
    a = formula(length, depth, 3)
    layer, context = "encoder.layer.0", np.zeros_like(x)
    for head in range(HEADS):
        part = slice(head * depth, (head + 1) * depth)
        q, k, v = (
            linear(x, f"{layer}.attention.self.{name}")[:, part]
            for name in ("query", "key", "value")
        )
        for i in range(length):
            scores = [q[i] @ (k[j] + a[i, j]) / np.sqrt(depth) for j in range(length)]
            p = softmax(scores)
            context[i, part] = sum(p[j] * (v[j] + a[i, j]) for j in range(length))
    attended = linear(context, f"{layer}.attention.output.dense")
    x = layer_norm(x + attended, weights, f"{layer}.attention.output.LayerNorm")
    inner = linear(x, f"{layer}.intermediate.dense")
    inner = inner * (1 + erf(inner / np.sqrt(2))) / 2
    return layer_norm(
        x + linear(inner, f"{layer}.output.dense"), weights, f"{layer}.output.LayerNorm"
    )


@torch.no_grad()
def test_model_is_the_formula_of_the_paper_in_numpy():
    model = tiny_model(num_hidden_layers=1)
    weights = {name: tensor.double().numpy() for name, tensor in model.state_dict().items()}
    inputs = batch()
    hidden = model(**inputs).last_hidden_state
    for row, length in enumerate((9, 6, 1)):
        ids, types = (inputs[key][row, :length].tolist() for key in ("input_ids", "token_type_ids"))
        expected = one_layer(weights, ids, types)
        np.testing.assert_allclose(hidden[row, :length], expected, atol=1e-5)


@torch.no_grad()
def test_padding_does_not_influence_real_tokens():
    model, inputs = tiny_model(), batch()
    hidden = model(**inputs).last_hidden_state
    mask = inputs["attention_mask"]
    other = inputs | {"input_ids": torch.where(mask == 1, inputs["input_ids"], 7)}
    again = model(**other).last_hidden_state
    assert torch.equal(again[mask == 1], hidden[mask == 1])
    assert not torch.equal(again, hidden)


@torch.no_grad()
def test_only_distances_count_not_places():
    """The same words further right, behind padding, give the same; in another order they do not."""
    model, ids = tiny_model(), batch((6,))["input_ids"]
    hidden = model(input_ids=ids).last_hidden_state
    for shift in (1, 4):
        pad = torch.full((1, shift), 7)
        shifted = model(
            input_ids=torch.cat([pad, ids], dim=1),
            attention_mask=torch.cat([torch.zeros_like(pad), torch.ones_like(ids)], dim=1),
        ).last_hidden_state
        torch.testing.assert_close(shifted[:, shift:], hidden)
    turned = model(input_ids=ids.flip(1)).last_hidden_state.flip(1)
    assert (turned - hidden).abs().max() > 0.1


@pytest.mark.parametrize("lengths", [(9, 9, 9), (9, 6, 1)], ids=["full", "padded"])
@torch.no_grad()
def test_encode_of_embed_is_the_models_own_forward(lengths):
    encoder, inputs = tiny_encoder(), batch(lengths)
    expected = encoder.model(**inputs).last_hidden_state
    mask, types = inputs["attention_mask"], inputs["token_type_ids"]
    embeds = encoder.embed(inputs["input_ids"])
    assert torch.equal(encoder.encode(embeds, mask, types), expected)
    if mask.all():
        assert torch.equal(encoder.encode(embeds, None, types), expected)


@torch.no_grad()
def test_no_token_types_are_all_zero():
    model, ids = tiny_model(), batch()["input_ids"]
    explicit = model(input_ids=ids, token_type_ids=torch.zeros_like(ids)).last_hidden_state
    assert torch.equal(model(input_ids=ids).last_hidden_state, explicit)


@torch.no_grad()
def test_the_mask_is_never_read(monkeypatch):
    """On a GPU reading it makes the host wait."""
    encoder, inputs = tiny_encoder(), batch()
    embeds = encoder.embed(inputs["input_ids"])

    def read(self: Tensor) -> bool:
        raise AssertionError("a tensor was read")

    monkeypatch.setattr(Tensor, "__bool__", read)
    encoder.encode(embeds, inputs["attention_mask"], inputs["token_type_ids"])


def test_attention_falls_back_to_eager():
    config = nezha.NezhaConfig(**SIZES)
    assert Encoder.from_config(config, attention="sdpa").attention == "eager"


@torch.no_grad()
def test_half_precision_weights_are_enough():
    model, inputs = tiny_model().bfloat16(), batch()
    hidden = model(**inputs).last_hidden_state
    assert hidden.dtype == torch.bfloat16
    real = inputs["attention_mask"] == 1
    expected = tiny_model()(**inputs).last_hidden_state[real]
    torch.testing.assert_close(hidden[real].float(), expected, atol=0.1, rtol=0.1)


def test_gradient_checkpointing_keeps_the_gradients():
    encoder, inputs = tiny_encoder().train(), batch()

    def gradients() -> list[Tensor]:
        torch.manual_seed(3)
        embeds = encoder.embed(inputs["input_ids"])
        hidden = encoder.encode(embeds, inputs["attention_mask"], inputs["token_type_ids"])
        return list(torch.autograd.grad(hidden.square().sum(), list(encoder.parameters())))

    plain = gradients()
    encoder.enable_gradient_checkpointing()
    torch.testing.assert_close(gradients(), plain)


@torch.no_grad()
def test_states_and_probabilities_can_be_asked_for():
    model, inputs = tiny_model(), batch()
    output = model(**inputs, output_hidden_states=True, output_attentions=True)
    assert [tuple(state.shape) for state in output.hidden_states] == [(3, 9, HIDDEN)] * 3
    for probabilities in output.attentions:
        assert probabilities.shape == (3, HEADS, 9, 9)
        torch.testing.assert_close(probabilities.sum(-1), torch.ones(3, HEADS, 9))
        assert not probabilities[1, ..., 6:].any()


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


def test_importing_twice_is_safe():
    importlib.reload(nezha)
    assert type(hf.AutoConfig.for_model("nezha", **SIZES)) is nezha.NezhaConfig
    assert Encoder.from_config(nezha.NezhaConfig(**SIZES)).num_layers == 2

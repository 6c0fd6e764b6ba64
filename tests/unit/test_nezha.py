"""NEZHA: its formula in numpy, and what relative positions promise."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import torch
import transformers as hf
from scipy.special import erf, softmax
from torch import Tensor

from mt_dnn.encoders import nezha
from mt_dnn.encoders.encoder import Encoder
from tests.support.nezha import HEADS, HIDDEN, SIZES, batch, tiny_model


def tiny_encoder() -> Encoder:
    return Encoder(tiny_model())


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


def test_importing_twice_is_safe():
    importlib.reload(nezha)
    assert type(hf.AutoConfig.for_model("nezha", **SIZES)) is nezha.NezhaConfig
    assert Encoder.from_config(nezha.NezhaConfig(**SIZES)).num_layers == 2

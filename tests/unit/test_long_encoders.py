"""Longformer and BigBird: the identity, attention that depends on the batch alone, padding to blocks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers as hf
from torch import Tensor

from data_utils.errors import UserError
from mt_dnn.config.run import ModelConfig, RunConfig
from mt_dnn.config.smart import SmoothnessConfig
from mt_dnn.encoders.encoder import Encoder
from mt_dnn.encoders.load import encoder_positions, load_encoder
from mt_dnn.model import MTDNN
from mt_dnn.objective.objective import Objective
from mt_dnn.objective.step import Step
from mt_dnn.publish.auto_model import check_encoder
from tests.support.batches import make_batch
from tests.support.encoders import _SIZES, _SPECIAL, VOCAB
from tests.support.tasks import make_task

WIDTHS = {"longformer": 4, "big_bird": 4}
"""Tokens of a block or window: the length to whose multiples the model pads."""
LIMIT = 28
"""Longest sequence for which the tiny BigBird needs full attention: 5 + 2 blocks of 4."""


def config_of(name: str) -> hf.PreTrainedConfig:
    if name == "longformer":
        return hf.LongformerConfig(**_SIZES, **_SPECIAL, attention_window=4, type_vocab_size=1)
    return hf.BigBirdConfig(**_SIZES, block_size=4, num_random_blocks=1)


def encoder_of(name: str, *, seed: int = 0) -> Encoder:
    """Random weights in eval mode, every one of them away from its usual 0 or 1."""
    with torch.random.fork_rng(devices=[]):
        encoder = Encoder.from_config(config_of(name))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.normal_(0.0, 0.3, generator=generator)
    return encoder.eval()


def inputs_of(encoder: Encoder, lengths: tuple[int, ...], seed: int = 1) -> tuple[Tensor, Tensor]:
    """Right-padded ids and their mask, (N, T)."""
    width = max(lengths)
    mask = (torch.arange(width) < torch.tensor(lengths)[:, None]).long()
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(5, VOCAB, mask.shape, generator=generator)
    return ids.masked_fill(mask == 0, encoder.config.pad_token_id), mask


def own_forward(encoder: Encoder, ids: Tensor, mask: Tensor) -> Tensor:
    """The forward pass of a new model of transformers with the same weights."""
    model = hf.AutoModel.from_config(config_of(encoder.config.model_type))
    model.load_state_dict(encoder.model.state_dict(), strict=False)  # without the pooler
    more = {}
    if encoder.config.model_type == "longformer":
        more["global_attention_mask"] = torch.zeros_like(ids).index_fill(1, torch.tensor([0]), 1)
    return model.eval()(input_ids=ids, attention_mask=mask, **more).last_hidden_state


both = pytest.mark.parametrize("name", ["longformer", "big_bird"])


@both
@pytest.mark.parametrize(
    "lengths",
    [(9, 9), (9, 6), (32, 32), (30, 30), (31, 5)],
    ids=["full", "padded", "blocks", "odd", "odd and padded"],
)
@torch.no_grad()
def test_encode_of_embed_is_the_models_own_forward(name, lengths):
    encoder = encoder_of(name)
    ids, mask = inputs_of(encoder, lengths)
    hidden = encoder.encode(encoder.embed(ids), mask)
    assert hidden.shape == (2, max(lengths), encoder.hidden_size)
    assert torch.equal(hidden, own_forward(encoder, ids, mask))
    states = encoder.hidden_states(encoder.embed(ids), mask)
    assert [state.shape for state in states] == [hidden.shape] * 3
    assert torch.equal(states[-1], hidden)
    if min(lengths) == max(lengths):
        assert torch.equal(encoder.encode(encoder.embed(ids), None), hidden)


def test_an_export_of_longformer_says_what_to_use(tmp_path):
    """best/ with a global first token is the run's encoder, as the message says."""
    encoder = encoder_of("longformer")
    model = MTDNN(encoder, {"t": make_task()}, ModelConfig()).eval()
    encoder.save_pretrained(tmp_path)
    with pytest.raises(
        UserError, match=r"LongformerModel gives other embeddings .* best/ .* global_"
    ):
        check_encoder(tmp_path, model)
    ids, mask = inputs_of(encoder, (9, 6))
    loaded = hf.AutoModel.from_pretrained(tmp_path).eval()
    first = torch.zeros_like(ids).index_fill(1, torch.tensor([0]), 1)
    with torch.no_grad():
        found = loaded(input_ids=ids, attention_mask=mask, global_attention_mask=first)
        expected = encoder.encode(encoder.embed(ids), mask)
    assert torch.equal(found.last_hidden_state, expected)


@both
@torch.no_grad()
def test_a_batch_does_not_depend_on_those_before_it(name):
    """transformers leaves BigBird with full attention after one short batch."""
    encoder = encoder_of(name)
    (long, mask), (short, ones) = inputs_of(encoder, (40, 33)), inputs_of(encoder, (6, 6))
    names = list(encoder.state_dict())
    first = encoder.encode(encoder.embed(long), mask)
    before = encoder.encode(encoder.embed(short), ones)
    state = torch.get_rng_state()
    assert torch.equal(encoder.encode(encoder.embed(long), mask), first)
    assert torch.equal(encoder.encode(encoder.embed(short), ones), before)
    assert torch.equal(torch.get_rng_state(), state)
    assert list(encoder.state_dict()) == names
    assert not any(parameter.is_meta for parameter in encoder.parameters())


@torch.no_grad()
def test_big_bird_is_sparse_above_its_limit():
    encoder = encoder_of("big_bird")
    for length, kind in ((LIMIT, "original_full"), (LIMIT + 1, "block_sparse")):
        ids, mask = inputs_of(encoder, (length,))
        encoder.encode(encoder.embed(ids), mask)
        assert encoder.model.attention_type == kind
    full = encoder_of("big_bird")
    full.config.attention_type = "original_full"  # what a user may set
    full.model.set_attention_type("original_full")
    ids, mask = inputs_of(encoder, (40,))
    assert not torch.allclose(
        full.encode(full.embed(ids), mask), encoder.encode(encoder.embed(ids), mask)
    )
    assert full.model.attention_type == "original_full"


@both
@torch.no_grad()
def test_the_first_token_sees_the_whole_text(name):
    encoder = encoder_of(name)
    ids, mask = inputs_of(encoder, (40,))
    other = ids.clone()
    other[0, 21] = (other[0, 21] + 1) % (VOCAB - 5) + 5
    first, second = (encoder.encode(encoder.embed(x), mask)[0, 0] for x in (ids, other))
    assert (first - second).abs().max() > 1e-3


@both
@pytest.mark.parametrize("lengths", [(9, 6, 4), (33, 30, 29)], ids=["short", "long"])
def test_gradients_reach_embeds_and_every_parameter(name, lengths):
    encoder = encoder_of(name)
    ids, mask = inputs_of(encoder, lengths)
    embeds = encoder.embed(ids)
    embeds.retain_grad()
    encoder.encode(embeds, mask).square().sum().backward()
    assert (embeds.grad[mask.bool()].abs().sum(dim=-1) > 0).all()
    assert [n for n, p in encoder.named_parameters() if p.grad is None] == []


@both
@pytest.mark.parametrize("width", [12, 33], ids=["short", "long"])
def test_smart_without_a_perturbation_repeats_the_clean_pass(name, width):
    """With dropout: BigBird changes its attention between a short and a long batch."""
    model = MTDNN(encoder_of(name), {"t": make_task()}, ModelConfig()).train()
    other = make_batch((45 - width, 7), ids=(5, VOCAB), labels=[0, 1])
    batch = make_batch((width, width - 3), ids=(5, VOCAB), labels=[2, 1])
    Step.from_batch(model, other, seed=1)
    step = Step.from_batch(model, batch, seed=2)
    assert torch.equal(step.forward(step.embeds), step.logits)
    smoothness = SmoothnessConfig(noise="zero", steps=0, weight=1.0)
    values = Objective.from_config(model, RunConfig(smart="smart", smoothness=smoothness))(
        batch, seed=2
    ).values
    assert values["smoothness"] == 0.0
    assert values["loss"] > 0


@both
@torch.no_grad()
def test_a_saved_folder_and_its_first_layers(name, tmp_path: Path):
    """A list of windows, one per layer, as real checkpoints of Longformer have it."""
    encoder = encoder_of(name)
    encoder.save_pretrained(tmp_path)
    again = load_encoder(str(tmp_path))
    ids, mask = inputs_of(encoder, (33, 8))
    hidden = encoder.encode(encoder.embed(ids), mask)
    assert torch.equal(again.encode(again.embed(ids), mask), hidden)
    # Longformer counts positions from the row after that of padding.
    expected = _SIZES["max_position_embeddings"] - (2 if name == "longformer" else 0)
    assert encoder_positions(str(tmp_path)) == encoder.positions == expected
    part = load_encoder(str(tmp_path), num_layers=1)
    states = encoder.hidden_states(encoder.embed(ids), mask)
    assert torch.equal(part.encode(part.embed(ids), mask), states[1])
    assert part.num_layers == 1

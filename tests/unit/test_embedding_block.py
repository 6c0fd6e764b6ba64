"""A shift of what enters the first layer: the right place, exact at zero, refused elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import torch
import transformers as hf
from torch import Tensor, nn

from data_utils.errors import UserError
from mt_dnn.config.bounds import resolve_config
from mt_dnn.config.run import ModelConfig, RunConfig, SystemConfig
from mt_dnn.config.smart import SmoothnessConfig
from mt_dnn.encoders.embedding_block import BLOCKS
from mt_dnn.encoders.encoder import Encoder
from mt_dnn.model import MTDNN
from mt_dnn.objective.smart import SmoothnessTerm
from mt_dnn.objective.step import Step
from mt_dnn.randomness import seeded_rng
from tests.support.encoders import _SIZES, _SPECIAL, ARCHITECTURES, VOCAB, tiny_encoder
from tests.support.tasks import make_task
from tests.support.three_tasks import KINDS, make_model, task_batch

_config = hf.AutoConfig.for_model
ALL: dict[str, Callable[[], hf.PreTrainedConfig]] = {
    **{name: make for name, make in ARCHITECTURES.items() if name in BLOCKS},
    "camembert": lambda: _config("camembert", **_SIZES, **_SPECIAL, type_vocab_size=1),
    "deberta": lambda: _config("deberta", **_SIZES, relative_attention=True, pos_att_type=["c2p"]),
    "electra, E = H": lambda: _config("electra", **_SIZES, embedding_size=32),
    "deberta-v2, E < H": lambda: _config(
        "deberta-v2", **_SIZES, embedding_size=16, type_vocab_size=2
    ),
}
REFUSED: dict[str, Callable[[], hf.PreTrainedConfig]] = {
    **{name: make for name, make in ARCHITECTURES.items() if name not in BLOCKS},
    "longformer": lambda: _config("longformer", **_SIZES, **_SPECIAL, attention_window=4),
}


def encoder_of(make: Callable[[], hf.PreTrainedConfig]) -> Encoder:
    with torch.random.fork_rng(devices=[]):
        encoder = Encoder.from_config(make())
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.normal_(0.0, 0.3, generator=generator)
    return encoder


def inputs_of(encoder: Encoder) -> tuple[Tensor, Tensor, Tensor]:
    """Word embeddings, mask and token types of three padded sequences."""
    mask = (torch.arange(9) < torch.tensor([9, 6, 1])[:, None]).long()
    ids = torch.randint(5, VOCAB, (3, 9), generator=torch.Generator().manual_seed(1))
    ids = ids.masked_fill(mask == 0, encoder.config.pad_token_id or 0)
    return encoder.embed(ids), mask, (torch.arange(9) >= 3).long() * mask


def test_all_of_the_table_is_tested():
    assert {name.partition(",")[0] for name in ALL} == set(BLOCKS)


@pytest.mark.parametrize("training", [False, True], ids=["eval", "dropout"])
@pytest.mark.parametrize("name", ALL)
@torch.no_grad()
def test_a_shift_of_zero_is_the_plain_pass_to_the_last_bit(name, training):
    encoder = encoder_of(ALL[name]).train(training)
    inputs = inputs_of(encoder)
    zero = torch.zeros(3, 9, encoder.hidden_size)

    def hidden(shift: Tensor | None) -> Tensor:
        with seeded_rng(2, "cpu"):
            return encoder.encode(*inputs, shift=shift)

    plain = hidden(None)
    assert torch.equal(hidden(zero), plain)
    moved = hidden(zero.index_fill(1, torch.tensor([0]), 0.1))
    assert not torch.equal(moved, plain)
    assert torch.equal(hidden(None), plain)  # nothing is left behind


def first_layer(encoder: Encoder) -> nn.Module:
    """The first transformer layer, by its name in each architecture."""
    pattern = re.compile(r"(layer|albert_layer_groups)\.0$")
    return next(module for name, module in encoder.model.named_modules() if pattern.search(name))


@pytest.mark.parametrize("training", [False, True], ids=["eval", "dropout"])
@pytest.mark.parametrize("name", ALL)
@torch.no_grad()
def test_the_shift_is_added_to_what_the_first_layer_receives(name, training):
    encoder = encoder_of(ALL[name]).train(training)
    inputs, seen = inputs_of(encoder), []
    first_layer(encoder).register_forward_pre_hook(lambda layer, given: seen.append(given[0]))
    shift = torch.randn(3, 9, encoder.hidden_size, generator=torch.Generator().manual_seed(3))
    for value in (None, shift):
        with seeded_rng(2, "cpu"):
            encoder.encode(*inputs, shift=value)
    plain, moved = seen[0], seen[len(seen) // 2]  # ALBERT's layer runs twice in each pass
    seen.clear()
    with seeded_rng(2, "cpu"):
        output = encoder.embedding_output(*inputs)
    assert not seen
    assert torch.equal(output, plain)
    assert torch.equal(moved, plain + shift)
    assert output.shape == (3, 9, encoder.hidden_size)
    assert not encoder.model._forward_hooks


@pytest.mark.parametrize("name", REFUSED)
def test_encoders_without_a_known_block_are_refused_at_the_start(name):
    encoder = encoder_of(REFUSED[name])
    model = MTDNN(encoder, {"t": make_task()}, ModelConfig())
    with pytest.raises(UserError) as refused:
        SmoothnessTerm(model, SmoothnessConfig(space="embedding_output"), "smart")
    kind = encoder.config.model_type
    assert str(refused.value) == (
        f"smoothness.space: embedding_output is not defined for a {kind} encoder, whose word "
        f"embeddings enter the first layer without an embedding block that this package knows. Set "
        f"smoothness.space to words, or use an encoder of one of these types: {', '.join(BLOCKS)}"
    )
    SmoothnessTerm(model, SmoothnessConfig(space="words"), "smart")


def test_a_compiled_encoder_is_refused():
    system = SystemConfig(compile=True)
    with pytest.raises(UserError, match=r"smoothness\.space: .* not compiled"):
        resolve_config(RunConfig(smart="mtdnn_release", system=system))
    words = SmoothnessConfig(space="words")
    resolve_config(RunConfig(smart="mtdnn_release", smoothness=words, system=system))


@pytest.mark.parametrize("task", KINDS)
def test_a_step_passes_the_shift_on(task):
    step = Step.from_batch(make_model(dropout=True), task_batch(task), seed=3)
    zero = torch.zeros(*step.embeds.shape[:2], step.model.encoder.hidden_size)
    assert torch.equal(step.forward(step.embeds, shift=zero), step.logits)
    assert not torch.equal(step.forward(step.embeds, shift=zero + 0.1), step.logits)
    off = step.forward(step.embeds, dropout="off")
    assert torch.equal(step.forward(step.embeds, dropout="off", shift=zero), off)


@pytest.mark.parametrize("dropout", ["shared", "off"])
@pytest.mark.parametrize("task", KINDS)
def test_r_s_vanishes_with_the_perturbation(task, dropout):
    model = make_model(dropout=True)
    none = SmoothnessConfig(
        space="embedding_output", dropout=dropout, ascent="none", noise="zero", steps=0
    )
    term = SmoothnessTerm(model, none, "smart")
    step = Step.from_batch(model, task_batch(task), seed=1)
    value = term.compute(step.of(term))
    assert value == 0.0
    value.backward()
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())


@pytest.mark.parametrize("dropout", ["shared", "independent", "off"])
def test_the_term_perturbs_within_its_ball_and_trains_the_embeddings(dropout):
    encoder = tiny_encoder("electra")  # E = 16, H = 32
    model = MTDNN(encoder, {"c": make_task(name="c")}, ModelConfig()).train()
    config = SmoothnessConfig(space="embedding_output", dropout=dropout, epsilon=0.1)
    term = SmoothnessTerm(model, config, "smart")
    step = Step.from_batch(model, task_batch("c"), seed=1, measure=True)
    delta = term.perturbation(step)
    assert delta.shape == (3, 6, 32)
    assert 0.09 < delta.abs().max() <= 0.1
    assert not delta[~step.batch.attention_mask.bool()].any()
    own = step.of(term)
    term.compute(own).backward()
    assert encoder.model.get_input_embeddings().weight.grad.any()
    encoder.eval()
    x = model.embedding_output(step.embeds, step.batch)
    real = step.batch.attention_mask.bool()
    ratio = delta.norm() / x[real].norm()
    if dropout != "independent":
        torch.testing.assert_close(own.figures["smart/c/delta_ratio"], ratio)
    assert own.figures["smart/c/dropped"] == 0

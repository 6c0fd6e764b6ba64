"""A learned mixture of layers: its formula, the layers themselves, and everything that must still hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import mt_dnn
from data_utils.errors import UserError
from mt_dnn.config.run import ModelConfig, RunConfig
from mt_dnn.config.smart import ProximalConfig
from mt_dnn.encoders.load import load_encoder
from mt_dnn.heads.scalar_mix import ScalarMix
from mt_dnn.model import MTDNN
from mt_dnn.objective.objective import Objective
from mt_dnn.objective.step import Step
from mt_dnn.publish.auto_model import build_auto_model
from mt_dnn.publish.average import average
from mt_dnn.publish.export import export
from mt_dnn.training.optim import parameter_groups
from tests.support.encoders import ARCHITECTURES, VOCAB, tiny_encoder, tiny_encoder_folder
from tests.support.model_folders import tasks_of, write_model
from tests.support.three_tasks import KINDS, make_model, move, task_batch

MIXED = "word: {data_format: Sequence, task_type: SequenceLabeling, labels: [O, B], metric_meta: [ACC], layers: scalar_mix}\n"
PLAIN = "pair: {data_format: PremiseAndOneHypothesis, task_type: Classification, labels: [same, other], metric_meta: [ACC]}\n"


def test_the_formula_in_numpy():
    rng = np.random.default_rng(0)
    layers = rng.normal(size=(4, 2, 3, 5)).astype(np.float32)  # (L + 1, N, T, H)
    w, gamma = np.array([0.5, -1.0, 2.0, 0.0], np.float32), np.float32(1.7)
    mix = ScalarMix(4)
    np.testing.assert_allclose(mix(torch.tensor(layers)).detach(), layers.mean(0), rtol=1e-5)
    with torch.no_grad():
        mix.weights.copy_(torch.tensor(w))
        mix.gamma.fill_(float(gamma))
    s = np.exp(w) / np.exp(w).sum()
    expected = gamma * sum(share * layer for share, layer in zip(s, layers, strict=True))
    np.testing.assert_allclose(mix(torch.tensor(layers)).detach(), expected, rtol=1e-5, atol=1e-6)


def test_a_mixture_keeps_the_dtype_and_needs_its_number_of_layers():
    mix = ScalarMix(2)
    layers = [torch.ones(1, 2, 3, dtype=torch.bfloat16)] * 2
    assert mix(layers).dtype == torch.bfloat16
    with pytest.raises(ValueError, match="shorter"):
        mix(layers[:1])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@torch.no_grad()
def test_a_layer_is_that_of_transformers_to_the_last_bit(architecture):
    encoder = tiny_encoder(architecture)
    mask = (torch.arange(7) < torch.tensor([7, 4])[:, None]).long()
    ids = torch.randint(5, VOCAB, (2, 7), generator=torch.Generator().manual_seed(0))
    ids = ids.masked_fill(mask == 0, encoder.config.pad_token_id or 0)
    found = encoder.hidden_states(encoder.embed(ids), mask)
    theirs = encoder.model(input_ids=ids, attention_mask=mask, output_hidden_states=True)
    assert len(found) == len(theirs.hidden_states) == encoder.depth + 1
    for own, other in zip(found, theirs.hidden_states, strict=True):
        assert torch.equal(own, other)
    assert torch.equal(found[-1], encoder.encode(encoder.embed(ids), mask))
    assert not torch.equal(found[-1], found[-2])


@pytest.mark.parametrize("task", KINDS)
def test_a_head_reads_its_mixture_in_every_pass(task):
    model = make_model(dropout=True, layers="scalar_mix")
    move(model)
    batch = task_batch(task)
    step = Step.from_batch(model, batch, seed=3)
    assert torch.equal(step.forward(step.embeds), step.logits)
    assert torch.equal(step.head(step.hidden), step.logits)
    assert torch.equal(step.forward(step.embeds, shift=torch.zeros_like(step.hidden)), step.logits)
    model.eval()
    head = model.head(batch)
    layers = model.encoder.model(
        input_ids=batch.input_ids,
        attention_mask=batch.attention_mask,
        output_hidden_states=True,
    ).hidden_states
    mixed = head.layer_mix(layers)
    assert torch.equal(model.encode(model.embed(batch), batch), mixed)
    assert torch.equal(model(batch), head(mixed, batch))
    assert not torch.allclose(mixed, layers[-1])


def smart_gradients(*, checkpointing: bool) -> dict[str, torch.Tensor]:
    """Gradients of one step with both terms of SMART, away from the teacher."""
    model = make_model(dropout=False, layers="scalar_mix").train()
    if checkpointing:
        model.encoder.enable_gradient_checkpointing()
    config = RunConfig(smart="smart", proximal=ProximalConfig(weight=0.7))
    objective = Objective.from_config(model, config)
    assert objective(task_batch("c"), seed=1).values["proximal"] == 0  # the teacher is the model
    move(model, 0.3)
    loss = objective(task_batch("c"), seed=1)
    assert loss.values["proximal"] > 0
    assert loss.values["smoothness"] > 0
    loss.total.backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def test_smart_the_teacher_and_gradient_checkpointing_reach_the_mixture():
    gradients = smart_gradients(checkpointing=False)
    assert gradients["heads.c.layer_mix.weights"].abs().min() > 0
    assert gradients["heads.c.layer_mix.gamma"].abs() > 0
    torch.testing.assert_close(smart_gradients(checkpointing=True), gradients)


@torch.no_grad()
def test_a_compiled_encoder_mixes_the_same():
    model = make_model(dropout=False, layers="scalar_mix")
    expected = model(task_batch("c"))
    model.encoder.compile(backend="eager")
    torch.testing.assert_close(model(task_batch("c")), expected)


def test_the_task_wins_over_the_run_and_the_mixture_trains_as_the_head(tmp_path):
    tasks = tasks_of(tmp_path, MIXED + PLAIN)
    encoder = tiny_encoder()
    model = MTDNN(encoder, tasks, ModelConfig())
    assert hasattr(model.heads["word"], "layer_mix")
    assert not hasattr(model.heads["pair"], "layer_mix")
    groups = parameter_groups(model, replace(RunConfig().optim, lr=1e-5, head_lr=1e-3))
    (group,) = [g for g in groups if "heads.word.layer_mix.weights" in dict(g["params"])]
    assert (group["lr"], group["weight_decay"]) == (1e-3, 0.0)
    run = MTDNN(encoder, tasks, ModelConfig(layers="scalar_mix"))
    assert hasattr(run.heads["pair"], "layer_mix")
    own = replace(tasks["word"], layers="last")
    assert not hasattr(
        MTDNN(encoder, {"word": own}, ModelConfig(layers="scalar_mix")).heads["word"], "layer_mix"
    )
    with pytest.raises(UserError, match=r"layers: 'first' does not fit .*last, scalar_mix"):
        tasks_of(tmp_path, MIXED.replace("scalar_mix", "first"))
    two = MIXED + "other: {extends: word, head: word, layers: last}\n"
    with pytest.raises(UserError, match="differs from task 'word' in layers: last and scalar_mix"):
        tasks_of(tmp_path, two)


def test_saved_loaded_averaged_and_exported(tmp_path):
    encoder = tiny_encoder_folder(tmp_path / "encoder")
    tasks = tasks_of(tmp_path, MIXED + PLAIN)
    models = [
        write_model(tmp_path / name, tasks, encoder, seed=seed)
        for seed, name in enumerate(("first", "second"))
    ]
    row = [{"tokens": ["a", "dog"]}]
    loaded = mt_dnn.load(tmp_path / "first").logits("word", row)[0]
    own = models[0]
    own.tokenizer = mt_dnn.load(tmp_path / "first").tokenizer
    with torch.no_grad():
        expected = own(own.batch("word", row))[0, 1:3]
    np.testing.assert_allclose(loaded, expected, rtol=1e-5)
    average([str(tmp_path / "first"), str(tmp_path / "second")], str(tmp_path / "mean"))
    mean = mt_dnn.load(tmp_path / "mean").model.heads["word"].layer_mix
    mixes = [model.heads["word"].layer_mix for model in models]
    assert torch.equal(mean.weights, (mixes[0].weights + mixes[1].weights) / 2)
    export(str(tmp_path / "first"), str(tmp_path / "out"))  # the encoder alone has no mixture
    load_encoder(str(tmp_path / "out"))
    with pytest.raises(UserError, match=r"layers scalar_mix .*read the last layer"):
        build_auto_model(own, "word")
    plain = tasks_of(tmp_path, MIXED.replace(", layers: scalar_mix", "") + PLAIN)
    write_model(tmp_path / "third", plain, encoder)
    with pytest.raises(UserError, match="task 'word': layers: 'scalar_mix' and 'last'"):
        average([str(tmp_path / "first"), str(tmp_path / "third")], str(tmp_path / "no"))


def test_without_a_mixture_nothing_is_added():
    model = make_model(dropout=False)
    assert not [name for name, _ in model.named_modules() if "mix" in name]
    assert all(isinstance(head, nn.Module) for head in model.heads.values())

"""The head of the masked language model: tied embeddings, and logits at hidden positions."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import transformers as hf

from data_utils.collator import IGNORE, Batch
from mt_dnn.config.run import ModelConfig, OptimConfig
from mt_dnn.encoders.load import load_encoder
from mt_dnn.heads.mask_lm import MASKED_AT, pretrained_weights
from mt_dnn.model import MTDNN
from mt_dnn.objective.proximal import ProximalConfig, ProximalTeacher
from mt_dnn.training.optim import parameter_groups
from tests.support.batches import make_batch
from tests.support.encoders import ARCHITECTURES, tiny_encoder
from tests.support.masked_text import at_positions
from tests.support.tasks import make_kind, make_task


def make_model(tokenizer, architecture: str = "bert", **options) -> MTDNN:
    torch.manual_seed(0)
    tasks = {"t": make_task("MaskLM", options=options)}
    return MTDNN(tiny_encoder(architecture), tasks, ModelConfig(), tokenizer).eval()


def small_batch(tokenizer, count: int = 3, length: int = 12) -> Batch:
    """Ids below 100, the size of the tiny architectures' vocabulary."""
    words = [np.arange(length, dtype=np.int32)] * count
    return make_batch([length] * count, ids=(5, 100), extras={"word_ids": words}, is_padded=False)


@pytest.fixture
def small_tokenizer(tokenizer):
    """The tiny architectures know 100 ids only."""
    kind = copy.copy(tokenizer)
    kind.__class__ = type("Small", (type(tokenizer),), {"__len__": lambda self: 100})
    return kind


@pytest.mark.parametrize("architecture", ["bert", "albert", "electra"])
def test_hidden_positions_alone_get_the_logits_they_would_get(small_tokenizer, architecture):
    """Embeddings of ALBERT and ELECTRA are 16 wide here, hidden states 32."""
    model = make_model(small_tokenizer, architecture)
    assert model.heads["t"].words.weight.shape[1] == (32 if architecture == "bert" else 16)
    batch = model.task_types["t"].prepare(small_batch(small_tokenizer), 0)
    logits = model(batch)
    everywhere = {k: v for k, v in batch.extras.items() if k != MASKED_AT}
    full = model(Batch(**{**vars(batch), "extras": everywhere}))
    assert full.shape == (3, 12, 100)
    assert logits.shape == (*batch.labels.shape, 100)
    for row, at in enumerate(batch.extras[MASKED_AT]):
        assert torch.allclose(logits[row, : len(at)], full[row, at], atol=1e-5)
    labels = at_positions(batch, batch.labels)
    expected = F.cross_entropy(full.flatten(0, 1), labels.flatten(), ignore_index=IGNORE)
    assert model.task_types["t"].loss(logits, batch).item() == pytest.approx(
        expected.item(), rel=1e-5
    )


def test_tied_embeddings_are_the_encoders_alone(small_tokenizer):
    model = make_model(small_tokenizer)
    words = model.encoder.model.get_input_embeddings().weight
    assert set(model.heads["t"].state_dict()) == {
        *("dense.weight", "dense.bias", "norm.weight", "norm.bias", "bias")
    }
    holders = [name for name, p in model.named_parameters(remove_duplicate=False) if p is words]
    assert len(holders) == 1
    groups = parameter_groups(model, OptimConfig())
    optimized = [parameter for group in groups for _, parameter in group["params"]]
    assert sum(parameter is words for parameter in optimized) == 1
    assert len({id(parameter) for parameter in optimized}) == len(optimized)
    batch = model.task_types["t"].prepare(small_batch(small_tokenizer), 0)
    model.logits(model.embed(batch).detach(), batch).sum().backward()
    assert words.grad.abs().sum() > 0  # through the head alone


def test_a_copy_of_the_model_is_tied_to_its_own_encoder(small_tokenizer):
    model = make_model(small_tokenizer)
    twin = copy.deepcopy(model)
    assert twin.heads["t"].words is twin.encoder.model.get_input_embeddings()
    assert twin.heads["t"].words is not model.encoder.model.get_input_embeddings()


def test_the_teachers_embeddings_are_used_on_both_sides(small_tokenizer):
    """After the student moved, the teacher answers as the student did before."""
    model = make_model(small_tokenizer)
    batch = model.task_types["t"].prepare(small_batch(small_tokenizer), 0)
    before = model(batch).detach()
    config = ProximalConfig(weight=1.0, teacher="mbpp", beta=0.9, beta_late=0.9, beta_switch=0.1)
    teacher = ProximalTeacher(model, config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    assert torch.allclose(teacher.logits(batch), before, atol=1e-5)
    assert not torch.allclose(model(batch), before, atol=0.1)


def test_nothing_hidden_is_no_loss_and_no_nan(small_tokenizer):
    model = make_model(small_tokenizer)
    kind = model.task_types["t"]
    batch = small_batch(small_tokenizer)
    batch.extras["word_ids"] = [np.full(12, -1, np.int32)] * 3
    batch = kind.prepare(batch, 0)
    logits = model(batch)
    loss = kind.loss(logits, batch) + kind.divergence(logits, logits + 1, batch)
    assert loss.item() == 0.0
    loss.backward()
    assert not any(p.grad is not None and p.grad.any() for p in model.parameters())
    predictions = kind.decode(logits.detach(), batch)
    assert [(p.value, p.scores, p.gold) for p in predictions] == [([], (0.0, 0), [])] * 3
    assert kind.guess([p.gold for p in predictions]) == [[], [], []]


@pytest.mark.parametrize("architecture", sorted(set(ARCHITECTURES) - {"t5", "nezha"}))
def test_the_checkpoints_own_head_is_taken_over(tmp_path, architecture):
    """As the architecture's masked language model computes it."""
    torch.manual_seed(0)
    full = hf.AutoModelForMaskedLM.from_config(ARCHITECTURES[architecture]()).eval()
    with torch.no_grad():
        for parameter in full.parameters():
            parameter.normal_(0.0, 0.3)
    full.save_pretrained(tmp_path)
    encoder = load_encoder(str(tmp_path))
    torch.manual_seed(1)
    head = make_kind("MaskLM").build_head(encoder, ModelConfig()).eval()
    batch = small_batch(None)
    with torch.no_grad():
        expected = full(input_ids=batch.input_ids).logits
        hidden = encoder.encode(encoder.embed(batch.input_ids), None)
        assert torch.allclose(head(hidden, batch), expected, atol=1e-4)


def test_without_one_in_the_checkpoint_the_head_is_drawn(tmp_path):
    torch.manual_seed(0)
    hf.AutoModel.from_config(ARCHITECTURES["bert"]()).save_pretrained(tmp_path)
    encoder = load_encoder(str(tmp_path))
    assert pretrained_weights(encoder) is None
    encoder.config.architectures = None  # says nothing: the weights themselves are asked
    state = torch.get_rng_state()
    assert pretrained_weights(encoder) is None
    assert torch.equal(torch.get_rng_state(), state)
    assert pretrained_weights(tiny_encoder("nezha")) is None

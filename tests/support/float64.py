"""Float64 models of every task type, and what tests/reference computes for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from data_utils.collator import IGNORE, Batch
from mt_dnn.config.run import ModelConfig
from mt_dnn.encoders.load import load_encoder
from mt_dnn.heads.mask_lm import MASKED_AT
from mt_dnn.model import MTDNN
from mt_dnn.registries import TASK_TYPES
from tests.reference import divergences, hnn
from tests.support.batches import make_batch
from tests.support.encoders import VOCAB, tiny_encoder, tiny_t5
from tests.support.tasks import make_task
from tests.support.words import Words

TYPES = [name for name in TASK_TYPES.names() if TASK_TYPES.is_builtin(name)]
LENGTHS = [5, 3, 4, 2, 5]


@pytest.fixture(scope="module")
def t5(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("t5")
    tiny_t5(folder, vocab_size=20)
    return folder


@pytest.fixture
def build(t5) -> Callable[..., tuple[MTDNN, Batch]]:
    def build(task_type: str, *, train: bool = True, **task: object) -> tuple[MTDNN, Batch]:
        generation = task_type == "SequenceGeneration"
        encoder = load_encoder(str(t5)) if generation else tiny_encoder()
        tokenizer = Words() if generation else None
        tasks = {"t": make_task(task_type, **task)}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            model = MTDNN(encoder, tasks, ModelConfig(), tokenizer).double()
        generator = torch.Generator().manual_seed(4)
        with torch.no_grad():  # the heads start near 0, where divergences are tiny
            for p in model.heads.parameters():
                p += 0.3 * torch.randn(p.shape, generator=generator, dtype=p.dtype)
        if task_type == "MaskLM":
            model.task_types["t"].prepare = lambda batch, seed: batch
        return model.train(train), batch_of(task_type, 20 if generation else VOCAB)

    return build


def batch_of(task_type: str, vocabulary: int) -> Batch:
    candidates = None
    lengths = LENGTHS[:3]
    labels: object = [0, 2, 1]
    extras: dict[str, list] = {}
    if task_type == "Regression":
        labels = [0.5, 1.5, -1.0]
    elif task_type == "MultiLabel":
        labels = [[1, 0, 1], [0, 0, 0], [0, 1, 0]]
    elif task_type == "HNN":  # two sequences for each candidate
        lengths, candidates = [5, 5, 3, 5, 4, 4, 2, 5, 5, 3], [4, 4, 2]
        labels = [[1, 0], [0, 1], [1, IGNORE]]
        extras = {
            "fill": [[[7, 9], [5]], [[3], [4]], [[11, 2]]],
            "blank_at": [[[2, 3], [1]], [[2], [1]], [[1, 3]]],
            "pronoun_at": [[1, 2], [2, 1], [1]],
            "candidate_at": [[[3, 4], [3]], [[2], [2, 3, 4]], [[2]]],
        }
    elif task_type in ("Ranking", "MultipleChoice", "ClozeChoice"):
        lengths, candidates = LENGTHS, [2, 2, 1]
        labels = [[1, 0], [0, 1], [1, IGNORE]]
    elif task_type == "SequenceLabeling":
        labels = [
            [IGNORE, 2, IGNORE, 0, IGNORE],
            [IGNORE, 1, *[IGNORE] * 3],
            [IGNORE, 0, 1, *[IGNORE] * 2],
        ]
    elif task_type == "MaskLM":
        labels = [[3, 7], [9, IGNORE], [4, IGNORE]]
        extras = {MASKED_AT: [torch.tensor(at).numpy() for at in ([1, 3], [1], [2])]}
    elif task_type in ("Span", "SpanYN"):
        labels = [[1, 3], [0, 0], [2, 2]]
    elif task_type == "SequenceGeneration":
        labels = [[7, 8, 1], [5, 1, IGNORE], [1, IGNORE, IGNORE]]
    return make_batch(
        lengths, ids=(2, vocabulary), candidates=candidates, labels=labels, extras=extras
    )


def l_s(task_type: str, batch: Batch, name: str | None) -> Callable[[Tensor, Tensor], Tensor]:
    """The reference's divergence of a task type; ``name`` is ignored by numbers."""
    name = (name or "symmetric_kl").removeprefix("bernoulli_")
    present = batch.attention_mask.bool()
    if task_type == "Regression":
        return divergences.numbers
    if task_type == "MultiLabel":
        return lambda p, q: divergences.labels(name, p, q)
    if task_type in ("Ranking", "MultipleChoice", "ClozeChoice"):
        return lambda p, q: divergences.candidates(name, p, q, batch.candidate_mask)
    if task_type == "HNN":
        own = batch.candidate_mask[:, ::2]
        return lambda p, q: divergences.candidates(name, hnn.ranking(p), hnn.ranking(q), own)
    if task_type in ("Span", "SpanYN"):
        return lambda p, q: divergences.spans(name, p, q, present)
    if task_type in ("SequenceLabeling", "MaskLM", "SequenceGeneration"):
        return lambda p, q: divergences.tokens(name, p, q, batch.labels != IGNORE)
    return lambda p, q: divergences.classes(name, p, q)


def half_of(task_type: str, batch: Batch, name: str | None) -> Callable[[Tensor, Tensor], Tensor]:
    """The divergence of which l_s is the sum in both directions: KL, or half of a symmetric one."""
    if (name or "symmetric_kl") == "symmetric_kl" and task_type != "Regression":
        return l_s(task_type, batch, "kl")
    return lambda target, logits: l_s(task_type, batch, name)(target, logits) / 2


def gradients(value: Tensor, model: MTDNN, embeds: Tensor) -> dict[str, Tensor]:
    """Gradients of a scalar with respect to the embeddings and to every parameter that it has."""
    names, parameters = zip(*model.named_parameters(), strict=True)
    found = torch.autograd.grad(value, [embeds, *parameters], allow_unused=True)
    pairs = zip(["embeds", *names], found, strict=True)
    return {name: gradient for name, gradient in pairs if gradient is not None}


def same(found: Tensor, expected: Tensor, tolerance: float = 1e-10) -> bool:
    """Whether a tensor differs by at most ``tolerance`` of the other's size."""
    return bool((found - expected).norm() <= tolerance * expected.norm())


def assert_same_gradients(
    found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float
) -> None:
    largest = max(gradient.norm() for gradient in expected.values())
    for name in found.keys() | expected.keys():
        zero = torch.zeros(())
        difference = (found.get(name, zero) - expected.get(name, zero)).norm()
        # Some gradients are 0 but for rounding, such as that of a bias before a softmax.
        allowed = tolerance * max(expected.get(name, zero).norm(), 0.01 * largest)
        assert difference <= max(allowed, 2e-16), name


# R_s.

"""HNN's scores and losses against a numpy reference in float64, and its head at the start."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import transformers as hf

from data_utils.collator import IGNORE
from data_utils.errors import UserError
from mt_dnn.config.run import ModelConfig
from mt_dnn.encoders.load import load_encoder
from mt_dnn.heads.mask_lm import pretrained_weights
from mt_dnn.task_types import TaskType
from tests.reference import hnn
from tests.support.encoders import ARCHITECTURES, tiny_encoder
from tests.support.float64 import batch_of, same
from tests.support.tasks import make_kind

COUNTS, RIGHT = (2, 2, 1), (0, 1, 0)


def kind_of(part: str = "both", **options: float) -> TaskType:
    return make_kind("HNN", options={"part": part, **options})


def logits_of(seed: int = 0) -> torch.Tensor:
    """(3, 2, 2) in float64; the absent candidate has NaN."""
    generator = torch.Generator().manual_seed(seed)
    log_p = -torch.rand(3, 2, generator=generator, dtype=torch.float64) * 3
    similar = torch.randn(3, 2, generator=generator, dtype=torch.float64)
    logits = torch.stack([log_p, similar], -1)
    logits[2, 1] = float("nan")
    return logits


def test_the_head_computes_both_scores_of_every_candidate(build):
    model, batch = build("HNN", train=False)
    logits = model(batch).detach()
    assert logits.shape == (3, 2, 2)
    assert logits.dtype == torch.float64
    hidden = model.encode(model.embed(batch), batch).detach()
    head, extras = model.heads["t"], batch.extras
    words = head.words
    vocabulary = words(hidden[::2], dataclasses.replace(batch, extras={})).detach().numpy()
    w_query, w_sim = (w.weight.detach().numpy() for w in (head.query, head.similarity))
    flat = [(b, k) for b, count in enumerate(COUNTS) for k in range(count)]
    for n, (b, k) in enumerate(flat):
        at, ids = extras["blank_at"][b][k], extras["fill"][b][k]
        expected = hnn.log_p_mlm(vocabulary[n][at], ids)
        assert logits[b, k, 0].item() == pytest.approx(expected, rel=1e-12)
        own = hidden[2 * n + 1].numpy()
        places = extras["pronoun_at"][b][k], extras["candidate_at"][b][k]
        expected = hnn.sim(own, *places, w_query, w_sim)
        assert logits[b, k, 1].item() == pytest.approx(expected, rel=1e-10)
    assert not logits[2, 1].any()


@pytest.mark.parametrize("part", ["both", "mlm", "ssm"])
def test_the_loss_and_its_gradient(part):
    kind, batch = kind_of(part), batch_of("HNN", 20)
    logits = logits_of().requires_grad_()
    found = kind.loss(logits, batch)

    def expected(values: np.ndarray) -> float:
        each = [
            hnn.loss(values[b, :count, 0], values[b, :count, 1], right, part)
            for b, (count, right) in enumerate(zip(COUNTS, RIGHT, strict=True))
        ]
        return sum(each) / 3

    values = logits.detach().numpy()
    assert found.dtype == torch.float64
    assert found.item() == pytest.approx(expected(values), rel=1e-12)
    found.backward()
    assert not logits.grad[2, 1].any()  # absent, and NaN
    for place in np.ndindex(values.shape):
        if place[:2] == (2, 1):
            continue
        high, low = values.copy(), values.copy()
        high[place], low[place] = high[place] + 1e-6, low[place] - 1e-6
        slope = (expected(high) - expected(low)) / 2e-6
        assert logits.grad[place].item() == pytest.approx(slope, abs=1e-7)


def test_a_model_that_is_left_out_has_neither_weights_nor_gradient(build):
    for part, absent in (("mlm", 1), ("ssm", 0)):
        model, batch = build("HNN", options={"part": part})
        logits = model(batch)
        assert not logits[..., absent].any()
        model.task_types["t"].loss(logits, batch).backward()
        assert all(p.grad is not None for p in model.heads.parameters())


def test_the_margin_and_the_scale_are_options():
    logits, batch = logits_of(), batch_of("HNN", 20)
    found = kind_of(rank_scale=3.0, rank_margin=0.25).loss(logits, batch)
    each = [
        hnn.loss(*logits[b, :count].numpy().T, right, gamma=3.0, beta=0.25)
        for b, (count, right) in enumerate(zip(COUNTS, RIGHT, strict=True))
    ]
    assert found.item() == pytest.approx(sum(each) / 3, rel=1e-12)
    for wrong in ({"rank_scale": 0.0}, {"rank_margin": -1.0}, {"part": "slm"}):
        with pytest.raises(UserError, match=next(iter(wrong))):
            make_kind("HNN", options=wrong)


@pytest.mark.parametrize("part", ["both", "mlm", "ssm"])
def test_the_best_score_is_predicted(part):
    kind, logits = kind_of(part), logits_of(1)
    batch = batch_of("HNN", 20)
    batch.extras |= {"choice": [["x", "y"], ["x", "y"], ["z"]], "answer": [["x"], ["y"], ["z"]]}
    for b, prediction in enumerate(kind.decode(logits, batch)):
        own = logits[b, : COUNTS[b]].numpy()
        scores = [hnn.score(log_p, similar, part) for log_p, similar in own]
        probabilities = np.exp(hnn.log_softmax(hnn.GAMMA * np.array(scores)))
        assert prediction.value == batch.extras["choice"][b][int(np.argmax(scores))]
        assert prediction.scores == pytest.approx(list(probabilities), rel=1e-6)
        assert prediction.gold == batch.extras["answer"][b]


def test_examples_without_a_right_candidate_do_not_count():
    kind, logits, batch = kind_of(), logits_of(), batch_of("HNN", 20)
    batch.labels = torch.tensor([[1, 0], [0, 0], [0, IGNORE]])
    expected = hnn.loss(*logits[0].numpy().T, 0)
    assert kind.loss(logits, batch).item() == pytest.approx(expected, rel=1e-12)
    assert kind.loss_units(batch) == 1
    batch.labels = torch.tensor([[0, 0], [0, 0], [0, IGNORE]])
    assert kind.loss(logits, batch).item() == 0.0


def test_of_several_right_candidates_the_mean_counts():
    kind, batch = kind_of("mlm"), batch_of("HNN", 20)
    logits = logits_of()
    batch.labels = torch.tensor([[1, 1], [IGNORE, IGNORE], [IGNORE, IGNORE]])
    log_p = logits[0, :, 0].numpy()
    log_rank = hnn.log_softmax(hnn.GAMMA * np.exp(log_p))
    expected = -(log_p + log_rank).mean()
    assert kind.loss(logits, batch).item() == pytest.approx(expected, rel=1e-12)


def test_the_language_model_starts_from_that_of_the_checkpoint(tmp_path):
    torch.manual_seed(0)
    full = hf.AutoModelForMaskedLM.from_config(ARCHITECTURES["bert"]()).eval()
    full.save_pretrained(tmp_path)
    encoder = load_encoder(str(tmp_path))
    weights = pretrained_weights(encoder)
    assert weights
    torch.manual_seed(1)
    head = kind_of().build_head(encoder, ModelConfig())
    assert head.words is not None
    for name, value in head.words.state_dict().items():
        assert torch.equal(value, weights[name])
    batch = batch_of("HNN", 100)
    with torch.no_grad():
        hidden = encoder.encode(encoder.embed(batch.input_ids), batch.attention_mask)
        found = head(hidden, batch)
        theirs = full(input_ids=batch.input_ids, attention_mask=batch.attention_mask).logits
    at, ids = batch.extras["blank_at"][0][0], batch.extras["fill"][0][0]
    expected = theirs[0].log_softmax(-1)[at, ids].mean()
    assert same(found[0, 0, 0], expected, 1e-4)


def test_without_one_it_starts_at_random():
    head = kind_of().build_head(tiny_encoder(), ModelConfig())
    assert head.words is not None
    assert head.words.dense.weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert head.similarity.weight.std().item() == pytest.approx(0.01, rel=0.1)

"""The attack on word embeddings: its size, its strength, and what it does at radius 0."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from data_utils.encoded_rows import EncodedRows
from data_utils.formats import Example
from mt_dnn.config.run import ModelConfig
from mt_dnn.inference.evaluate import evaluate_rows
from mt_dnn.model import MTDNN
from mt_dnn.reports.robustness import ATTACK, NOISE
from mt_dnn.robustness.attack import Attack, _Batch, attack_rows, embedding_size, has_divergence
from mt_dnn.robustness.run_data import sample
from tests.support.encoders import tiny_encoder_folder
from tests.support.tasks import make_kind, make_task
from tests.support.words import WORDS

RADII = (0.01, 0.05, 0.2)


@pytest.fixture(scope="module")
def rows_of_model(tmp_path_factory):
    """A model that is trained for a few updates on rows of one word each, and other rows."""
    task = make_task("Classification", name="t", data_format="PremiseOnly", n_class=2)
    torch.manual_seed(3)
    folder = tiny_encoder_folder(tmp_path_factory.mktemp("encoder"))
    model = MTDNN.from_pretrained(folder, {"t": task}, ModelConfig(pooling="mean"))
    model.encoder.model.get_input_embeddings().weight.data.mul_(20)  # words outweigh positions
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, rng.integers(2, 9))) for _ in range(24)]
    examples = [
        Example(str(i), (text,), int(WORDS.index(text.split()[0]) % 2))
        for i, text in enumerate(texts)
    ]
    rows = EncodedRows.from_examples(examples, task, model.tokenizer, max_seq_len=32)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    batch = rows.batch(range(len(rows)))
    for _ in range(20):
        optimizer.zero_grad()
        model.task_types["t"].loss(model(batch), batch).backward()
        optimizer.step()
    return model.eval(), rows


def test_radius_zero_gives_the_clean_scores_exactly(rows_of_model):
    model, rows = rows_of_model
    clean = evaluate_rows(model, rows, batch_size=5)
    found = attack_rows(model, rows, 0.0, Attack(), batch_size=5)
    for one in found.values():
        assert one.scores.metrics == clean.metrics
        assert one.scores.loss == clean.loss
        assert one.divergence == 0


@pytest.mark.parametrize("radius", RADII)
def test_the_attack_finds_at_least_the_divergence_of_random_noise(rows_of_model, radius):
    model, rows = rows_of_model
    found = attack_rows(model, rows, radius, Attack(steps=2), batch_size=5)
    assert found[ATTACK].divergence > 2 * found[NOISE].divergence > 0


def test_the_divergence_grows_with_the_radius(rows_of_model):
    model, rows = rows_of_model
    found = [attack_rows(model, rows, radius, Attack(), batch_size=5) for radius in RADII]
    divergences = [one[ATTACK].divergence for one in found]
    assert divergences == sorted(divergences)


def test_an_attack_that_knows_the_labels_raises_the_loss_further(rows_of_model):
    model, rows = rows_of_model
    clean = evaluate_rows(model, rows).loss
    blind, knowing = (
        attack_rows(model, rows, 0.05, Attack(on_loss=on_loss))[ATTACK].scores.loss
        for on_loss in (False, True)
    )
    assert knowing > blind
    assert knowing > clean


def test_both_perturbations_have_the_radius_on_every_token_and_none_on_padding(rows_of_model):
    model, rows = rows_of_model
    batch = rows.batch(range(6))
    assert batch.is_padded
    step = _Batch(model, model.task_types["t"], batch)
    deltas = step.deltas(0.05, Attack(), seed=1)
    real = batch.attention_mask.bool()
    for delta in deltas.values():
        largest = delta.abs().amax(-1)
        assert (largest[~real] == 0).all()
        assert largest[real] == pytest.approx(torch.full_like(largest[real], 0.05), rel=1e-5)
    assert (deltas[NOISE][real].abs() > 0.0499).all()


def test_the_same_seed_gives_the_same_attack_and_no_trace_remains(rows_of_model):
    model, rows = rows_of_model
    state = torch.get_rng_state()
    model.train()
    one, again, other = (
        attack_rows(model, rows, 0.05, Attack(seed=seed), batch_size=5) for seed in (1, 1, 2)
    )
    assert model.training
    model.eval()
    assert torch.equal(torch.get_rng_state(), state)
    assert one == again
    assert one[NOISE] != other[NOISE]
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())


def test_the_size_of_the_embeddings_leaves_padding_out(rows_of_model):
    model, rows = rows_of_model
    table = model.encoder.model.get_input_embeddings().weight.detach().double()
    ids = [token for row in range(len(rows)) for token in rows.batch([row]).input_ids[0].tolist()]
    expected = table[ids].square().mean().sqrt().item()
    assert embedding_size(model, rows, batch_size=7) == pytest.approx(expected, rel=1e-6)


def test_a_type_without_a_divergence():
    kind = make_kind("Classification")
    assert has_divergence(kind)
    kind.divergence = None
    assert not has_divergence(kind)


def test_the_sampled_rows_depend_on_their_number_and_the_seed():
    examples = [Example(str(i), ("a",), 0) for i in range(20)]
    labelled = [dataclasses.replace(example, label=1) for example in examples]
    picked = [e.uid for e in sample(examples, 5, 1)]
    assert len(set(picked)) == 5
    assert picked == [e.uid for e in sample(labelled, 5, 1)] == sorted(picked, key=int)
    assert picked != [e.uid for e in sample(examples, 5, 2)]
    assert sample(examples, 20, 1) == examples

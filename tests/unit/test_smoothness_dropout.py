"""R_s on a toy network with dropout: shared, independent, off; its random draws."""

from dataclasses import replace

import torch

from mt_dnn.objective.smoothness import smoothness_loss
from mt_dnn.randomness import dropout_off, seeded_rng
from tests.support.toy_network import MASK, Toy, config, embeddings, generator, measure


def dropout_term(cfg, *, forward_of, seed=7):
    torch.manual_seed(3)
    model = Toy(dropout=0.5).train()
    embeds = embeddings()
    forward = forward_of(model)
    with seeded_rng(seed, "cpu"):
        clean = model(embeds)
    return model, smoothness_loss(forward, embeds, clean, measure, MASK, cfg, generator())[0]


def shared(model):
    def forward(embeds):
        with seeded_rng(7, "cpu"):
            return model(embeds)

    return forward


def test_shared_dropout_vanishes_with_the_radius():
    cfg = replace(config(), ascent="none", noise="zero")
    assert dropout_term(cfg, forward_of=shared)[1] == 0
    assert dropout_term(config(), forward_of=shared)[1] < 1e-8


def test_independent_dropout_measures_dropout_noise():
    assert dropout_term(config("rdrop"), forward_of=lambda model: model)[1] > 1e-3


def test_dropout_off_makes_its_own_clean_pass():
    def without(model):
        def forward(embeds):
            with dropout_off(model):
                return model(embeds)

        return forward

    cfg = replace(config(dropout="off"), ascent="none", noise="zero")
    model, loss = dropout_term(cfg, forward_of=without)
    assert loss == 0
    assert model.calls == 3  # the caller's clean pass, the term's own, the perturbed one
    assert model.training
    assert model.dropout.training


def test_replay_is_a_function_of_its_seed_and_leaves_no_trace():
    before = torch.get_rng_state()
    with seeded_rng(1, "cpu"):
        first = torch.rand(4)
    with seeded_rng(1, "cpu"):
        assert torch.equal(torch.rand(4), first)
    with seeded_rng(2, "cpu"):
        assert not torch.equal(torch.rand(4), first)
    assert torch.equal(torch.get_rng_state(), before)


def test_measuring_the_gain_changes_nothing_else():
    torch.manual_seed(3)
    model = Toy(dropout=0.5)
    after = []
    for measured in (False, True):
        torch.manual_seed(4)
        noise = generator()
        arguments = (model, embeddings(), model(embeddings()), measure, MASK, config(), noise)
        loss, _ = smoothness_loss(*arguments, measure_gain=measured)
        after.append((loss.item(), torch.rand(1).item(), torch.rand(1, generator=noise).item()))
    assert after[0] == after[1]

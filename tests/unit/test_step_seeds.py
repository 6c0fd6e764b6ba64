"""Masking, dropout and the noise of R_s draw from different seeds within one training step."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from data_utils.collator import Batch
from mt_dnn.config.presets import resolve
from mt_dnn.config.run import ModelConfig, RunConfig
from mt_dnn.config.smart import ProximalConfig, SmoothnessConfig
from mt_dnn.model import MTDNN
from mt_dnn.objective import smart as smart_module
from mt_dnn.objective.objective import Objective
from mt_dnn.task_types import mask_lm
from tests.support.batches import make_batch
from tests.support.encoders import VOCAB, tiny_encoder
from tests.support.tasks import make_task

LENGTH = 12


class Tokenizer:
    """The ids of the tiny encoder; the first five are special tokens."""

    mask_token_id = 4
    all_special_ids = (0, 1, 2, 3, 4)

    def __len__(self) -> int:
        return VOCAB


def make_model() -> MTDNN:
    return MTDNN(tiny_encoder(), {"t": make_task("MaskLM")}, ModelConfig(), Tokenizer()).train()


def make_text() -> Batch:
    """Three rows of words, one token each."""
    words = [np.arange(LENGTH, dtype=np.int32)] * 3
    return make_batch([LENGTH] * 3, ids=(5, VOCAB), extras={"word_ids": words}, is_padded=False)


@pytest.fixture
def seeds(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[int]]:
    """The seeds of the generators from which each kind of draw is made."""
    seen: dict[str, set[int]] = {"masking": set(), "dropout": set(), "noise": set()}
    choose, encode, loss = mask_lm.choose_positions, MTDNN.encode, smart_module.smoothness_loss

    def choose_tokens(*args, generator, **options):
        seen["masking"].add(generator.initial_seed())
        return choose(*args, generator=generator, **options)

    def forward(*args, **options):
        seen["dropout"].add(torch.initial_seed())  # of the global generator
        return encode(*args, **options)

    def smoothness(*args, **options):
        generators = [value for value in args if isinstance(value, torch.Generator)]
        seen["noise"].update(generator.initial_seed() for generator in generators)
        return loss(*args, **options)

    monkeypatch.setattr(mask_lm, "choose_positions", choose_tokens)
    monkeypatch.setattr(MTDNN, "encode", forward)
    monkeypatch.setattr(smart_module, "smoothness_loss", smoothness)
    return seen


@pytest.mark.parametrize("dropout", ["shared", "independent"])
def test_each_kind_of_draw_has_its_own_seed(seeds, dropout):
    smoothness, proximal = resolve("smart", SmoothnessConfig(dropout=dropout), ProximalConfig())
    config = RunConfig(smoothness=smoothness, proximal=dataclasses.replace(proximal, weight=0.0))
    Objective.from_config(make_model(), config)(make_text(), seed=5)
    assert len(seeds["masking"]) == len(seeds["noise"]) == 1
    assert len(seeds["dropout"]) == (1 if dropout == "shared" else 3)
    assert len(set.union(*seeds.values())) == sum(len(found) for found in seeds.values())


def test_hidden_tokens_are_not_those_of_dropouts_own_draws():
    """A Bernoulli mask drawn from dropout's seed would hide the tokens that dropout drops."""
    model = make_model()
    kind, batch, seen = model.task_types["t"], make_text(), []
    off = resolve("off", SmoothnessConfig(), ProximalConfig())
    objective = Objective.from_config(model, RunConfig(smoothness=off[0], proximal=off[1]))
    embed = model.embed
    model.embed = lambda batch: seen.append(batch) or embed(batch)
    for seed in range(8):
        objective(batch, seed=seed)
    for seed, own in enumerate(seen):
        assert not torch.equal(own.input_ids, kind.prepare(batch, seed).input_ids), seed

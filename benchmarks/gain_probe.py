"""Measure a preset's perturbation delta on a model's batches, and the task's l_s at it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import count, repeat
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from data_utils.collator import Batch
from data_utils.errors import UserError
from mt_dnn.config.smart import SmoothnessConfig
from mt_dnn.model import MTDNN
from mt_dnn.objective.norm_ball import norms, random_signs_like
from mt_dnn.objective.smoothness import perturbation
from mt_dnn.randomness import seeded_rng, step_seed

NOISE, SIGNS = 0, 1
"""Last part of the seeds of a draw: starting noise, and signs of the baseline."""


class Draw(NamedTuple):
    """Measurements of one draw on all rows. Values of l_s are means over examples."""

    inf_norm: float
    relative: float
    """||delta||_2 / ||x||_2"""
    adversarial: float
    random: float
    start: float | None
    adversarial_float32: float
    random_float32: float
    climbed_float64: float
    climbed_with_dropout: float
    random_with_dropout: float


class Probe:
    """A model and a batch, evaluated in the precision of the model's weights.

    ``embeds`` is what delta is added to: the word embeddings or, with the space ``embedding_output``,
    zeros, because delta is then added inside of a pass. ``origin`` is what is perturbed.
    """

    def __init__(self, model: MTDNN, batch: Batch, space: str | None = "words") -> None:
        self.model, self.batch, self.space = model, batch, space
        self.kind = model.task_types[batch.task]
        with torch.no_grad():
            self.words = model.embed(batch)  # (N, T, E)
            self.clean = model.logits(self.words, batch)
            self.embeds = self.origin = self.words
            if space == "embedding_output":
                self.origin = model.embedding_output(self.words, batch)  # (N, T, H)
                self.embeds = torch.zeros_like(self.origin)

    def logits(self, embeds: Tensor) -> Tensor:
        embeds = embeds.to(self.embeds.dtype)
        if self.space == "embedding_output":
            return self.model.logits(self.words, self.batch, shift=embeds)
        return self.model.logits(embeds, self.batch)

    def climb(self, config: SmoothnessConfig, seed: int, *, dropout: bool = False) -> Tensor:
        """Compute delta (N,T,E), in float32 for any weights, so that its starting noise is the same.

        Args:
            dropout: use dropout in the passes of the ascent, in the mode of ``config.dropout``.

        Raises:
            UserError: the gradient of the ascent is not finite.
        """
        forward, clean = self.logits, self.clean
        if dropout and config.dropout != "off":
            # With shared dropout, all passes use the seed of the clean pass; else each has its own.
            seeds = repeat(seed) if config.dropout == "shared" else count(seed)
            forward = partial(self.logits_with_dropout, seeds)
            with torch.no_grad():
                clean = forward(self.embeds)
        delta, finite = perturbation(
            forward,
            self.embeds.float(),
            clean,
            lambda p, q: self.kind.divergence(p, q, self.batch, name=config.divergence),
            self.batch.attention_mask,
            config,
            torch.Generator(self.embeds.device).manual_seed(seed),
            units=self.kind.units(self.batch),
        )
        if not finite:
            raise UserError(f"{self.batch.task}: the ascent's gradient is not finite")
        return delta

    def logits_with_dropout(self, seeds: Iterator[int], embeds: Tensor) -> Tensor:
        self.model.train()
        try:
            with seeded_rng(next(seeds), embeds.device):
                return self.logits(embeds)
        finally:
            self.model.eval()

    @torch.no_grad()
    def divergence(self, delta: Tensor) -> float:
        """The task's own l_s at delta, mean over examples."""
        perturbed = self.logits(self.embeds + delta)
        return self.kind.divergence(perturbed, self.clean, self.batch).item()

    @torch.no_grad()
    def identity(self) -> float:
        """max |f(x + 0) - f(ids)|, where f(ids) is the encoder's own forward pass on token ids."""
        encoder, batch = self.model.encoder, self.batch
        types = {"token_type_ids": batch.token_type_ids} if encoder.has_token_types else {}
        own = encoder.model(batch.input_ids, attention_mask=batch.attention_mask, **types)
        head = self.model.heads[self.model.tasks[batch.task].head_name]
        zero = torch.zeros_like(self.embeds)
        difference = self.logits(self.embeds + zero) - head(own.last_hidden_state, batch)
        return difference.abs().max().item()


def draw(pairs: list[tuple[Probe, Probe]], config: SmoothnessConfig, seed: int) -> Draw:
    """Measure one draw of a preset.

    Args:
        pairs: for each batch, probes of the float32 and of the float64 model.
        seed: the same seed gives every preset the same noise and the same signs, scaled.
    """
    examples = [len(probe.batch) for probe, _ in pairs]
    rows: list[tuple[float | None, ...]] = []
    squares = np.zeros(2)
    inf_norms: list[Tensor] = []
    for index, (probe, exact) in enumerate(pairs):
        noise_seed = step_seed(seed, index, NOISE)
        delta = probe.climb(config, noise_seed)
        signs = signs_like(delta, step_seed(seed, index, SIGNS))
        dropped = probe.climb(config, noise_seed, dropout=True)
        start = None
        if config.ascent != "none":
            start = exact.divergence(probe.climb(replace(config, steps=0), noise_seed))
        rows.append(
            (
                exact.divergence(delta),
                exact.divergence(signs),
                start,
                probe.divergence(delta),
                probe.divergence(signs),
                exact.divergence(exact.climb(config, noise_seed)),
                exact.divergence(dropped),
                exact.divergence(signs_like(dropped, step_seed(seed, index, SIGNS))),
            )
        )
        real = probe.batch.attention_mask.bool()
        inf_norms.append(norms(delta, norm="linf", scope="token")[real])
        squares += [part[real].double().square().sum().item() for part in (delta, probe.origin)]
    means = (mean(column, examples) for column in zip(*rows, strict=True))
    return Draw(torch.cat(inf_norms).mean().item(), math.sqrt(squares[0] / squares[1]), *means)


def signs_like(delta: Tensor, seed: int) -> Tensor:
    """Random signs, scaled on each token to the l2 norm of delta; the baseline."""
    generator = torch.Generator(delta.device).manual_seed(seed)
    return random_signs_like(delta, norm="l2", generator=generator)


def mean(values: Sequence[Any], weights: Sequence[int] | None = None) -> Any:
    """Weighted mean; None if a value is None."""
    return None if None in values else float(np.average(values, weights=weights))

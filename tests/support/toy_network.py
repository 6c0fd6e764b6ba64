"""A toy network for R_s, its embeddings and mask, and the term on them."""

import torch
from torch import nn

from mt_dnn.config.presets import resolve
from mt_dnn.config.smart import ProximalConfig, SmoothnessConfig
from mt_dnn.divergences import symmetric_kl
from mt_dnn.objective.smoothness import perturbation, smoothness_loss

N, T, E = 6, 5, 8
MASK = torch.arange(T) < torch.tensor([5, 3, 1, 5, 4, 2])[:, None]  # (N, T)
BALLS = [(n, s) for n in ("linf", "l2", "l1") for s in ("token", "sentence")]


class Toy(nn.Module):
    """(N,T,E) -> (N,3): one nonlinear layer per token, the mean over real tokens, an output layer."""

    def __init__(self, dropout=0.0):
        super().__init__()
        self.hidden = nn.Linear(E, 16)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(16, 3)
        self.calls = 0

    def forward(self, embeds):
        self.calls += 1
        weight = MASK[..., None] / MASK.sum(1)[:, None, None]
        hidden = self.dropout(self.hidden(embeds).tanh())
        return self.output((hidden * weight).sum(1))


def measure(p, q):
    return symmetric_kl(p, q).mean()


def config(preset="smart", **changes):
    return resolve(preset, SmoothnessConfig(**changes), ProximalConfig())[0]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def embeddings(seed=0):
    return 0.5 * torch.randn(N, T, E, generator=generator(seed))


def run(model, cfg, *, seed=0, embeds=None, **options):
    embeds = embeddings() if embeds is None else embeds
    clean = model(embeds)
    return smoothness_loss(model, embeds, clean, measure, MASK, cfg, generator(seed), **options)


def delta_of(model, cfg, seed=0, divergence=measure):
    embeds = embeddings()
    arguments = (model, embeds, model(embeds), divergence, MASK, cfg, generator(seed))
    return perturbation(*arguments)[0]

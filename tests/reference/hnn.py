"""HNN (He et al. 2019, arXiv 1907.11983) by its formulas, one candidate at a time.

Of the companion code: ``LMMatcher``, ``SSMatcher`` (pooling cap, similarity bilinear), ``binary_loss``,
``lm_loss`` and ``rank_loss`` with alpha = 0, 0, 0, beta = 0, 0, 0.6 and gama = 1, 1, 10.
"""

from __future__ import annotations

import numpy as np
import torch

GAMMA, BETA = 10.0, 0.6


def log_softmax(x):
    x = np.asarray(x, np.float64)
    return x - x.max() - np.log(np.exp(x - x.max()).sum())


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def log_p_mlm(logits, ids):
    """The mean log-probability of a candidate's tokens.

    logits: (M, V), of the vocabulary at the M mask tokens; ids: the M tokens.
    """
    return sum(log_softmax(row)[token] for row, token in zip(logits, ids, strict=True)) / len(ids)


def sim(hidden, pronoun, candidate, w_query, w_sim):
    """(W_s c) . s, with the candidate c pooled by the attention of [CLS] to its tokens.

    hidden: (T, H); pronoun: a position; candidate: positions.
    """
    query = w_query @ hidden[0]
    scores = [query @ hidden[t] / np.sqrt(len(query)) for t in candidate]
    attention = np.exp(log_softmax(scores))
    c = sum(a * hidden[t] for a, t in zip(attention, candidate, strict=True))
    return (w_sim @ c) @ hidden[pronoun]


def score(log_p, similar, part="both"):
    p_mlm, p_ssm = np.exp(log_p), sigmoid(similar)
    return {"mlm": p_mlm, "ssm": p_ssm, "both": (p_mlm + p_ssm) / 2}[part]


def loss(log_p, similar, right, part="both", gamma=GAMMA, beta=BETA):
    """L_mlm + L_ssm + L_rank of one example with one right candidate.

    log_p, similar: a number for each candidate; right: the position of the right one.
    """
    count = len(log_p)
    l_mlm = -log_p[right]
    l_ssm = 0.0
    for i in range(count):
        p = sigmoid(similar[i])
        l_ssm -= np.log(p if i == right else 1.0 - p) / count
    ranked = [
        gamma * (score(log_p[i], similar[i], part) + beta * (i != right)) for i in range(count)
    ]
    l_rank = -log_softmax(ranked)[right]
    return {"mlm": l_mlm, "ssm": l_ssm, "both": l_mlm + l_ssm}[part] + l_rank


def ranking(logits):
    """gamma Score of logits (..., 2), as torch tensors: the divergences are of its softmax."""
    return GAMMA * (torch.exp(logits[..., 0]) + torch.sigmoid(logits[..., 1])) / 2

"""l_s between two predictions, for every task type: one value for each distribution.

Sources: the symmetric KL and the squared error are the l_s of SMART (arXiv 1911.03437, section 3.1);
Jensen-Shannon and squared Hellinger are those of PDR (arXiv 2010.12638). The mean over the returned
values is the mean over examples (over labelled tokens for types with a prediction at each token).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Pair = Callable[[Tensor, Tensor], Tensor]
"""Two vectors, of probabilities or of outputs, -> a scalar."""


def kl(p: Tensor, q: Tensor) -> Tensor:
    """KL(P||Q) = sum_c p_c log(p_c / q_c)."""
    return sum(p[c] * torch.log(p[c] / q[c]) for c in range(len(p)))


def symmetric_kl(p: Tensor, q: Tensor) -> Tensor:
    """KL(P||Q) + KL(Q||P), with both sums written as one, which rounds less where P is near Q."""
    return sum((p[c] - q[c]) * torch.log(p[c] / q[c]) for c in range(len(p)))


def js(p: Tensor, q: Tensor) -> Tensor:
    """(KL(P||M) + KL(Q||M)) / 2 with M = (P + Q) / 2."""
    m = (p + q) / 2
    return (kl(p, m) + kl(q, m)) / 2


def hellinger(p: Tensor, q: Tensor) -> Tensor:
    """1/2 sum_c (sqrt(p_c) - sqrt(q_c))^2, the squared Hellinger distance."""
    return sum((p[c].sqrt() - q[c].sqrt()) ** 2 for c in range(len(p))) / 2


def squared_error(p: Tensor, q: Tensor) -> Tensor:
    """sum_c (p_c - q_c)^2, of the outputs themselves."""
    return sum((p[c] - q[c]) ** 2 for c in range(len(p)))


ON_PROBABILITIES: dict[str, Pair] = {
    "symmetric_kl": symmetric_kl,
    "kl": kl,
    "js": js,
    "hellinger": hellinger,
}


def softmax(logits: Tensor) -> Tensor:
    """exp(z_c) / sum_k exp(z_k), of one vector."""
    powers = torch.exp(logits - logits.max())
    return powers / powers.sum()


def distribution(name: str, p_logits: Tensor, q_logits: Tensor) -> Tensor:
    """Divergence of two distributions over classes, given as two vectors of logits."""
    if name == "squared_error":
        return squared_error(p_logits, q_logits)
    return ON_PROBABILITIES[name](softmax(p_logits), softmax(q_logits))


def bernoulli(name: str, p_logit: Tensor, q_logit: Tensor) -> Tensor:
    """Divergence of Bernoulli(sigmoid(p)) and Bernoulli(sigmoid(q)), for one label."""
    p, q = 1 / (1 + torch.exp(-p_logit)), 1 / (1 + torch.exp(-q_logit))
    return ON_PROBABILITIES[name](torch.stack([p, 1 - p]), torch.stack([q, 1 - q]))


# One function for each kind of output. Each returns one value for each distribution, (M,).


def classes(name: str, p: Tensor, q: Tensor) -> Tensor:
    """(B, C): one distribution over C classes for each example."""
    return torch.stack([distribution(name, p[i], q[i]) for i in range(len(p))])


def numbers(p: Tensor, q: Tensor) -> Tensor:
    """(B, 1): the squared difference of each example's number."""
    return torch.stack([(p[i, 0] - q[i, 0]) ** 2 for i in range(len(p))])


def labels(name: str, p: Tensor, q: Tensor) -> Tensor:
    """(B, C): the sum over an example's C independent labels."""
    values = []
    for i in range(len(p)):
        values.append(sum(bernoulli(name, p[i, c], q[i, c]) for c in range(p.shape[1])))
    return torch.stack(values)


def candidates(name: str, p: Tensor, q: Tensor, present: Tensor) -> Tensor:
    """(B, K): one distribution over the candidates of an example that are present, (B, K)."""
    values = []
    for i in range(len(p)):
        own = [k for k in range(p.shape[1]) if present[i, k]]
        values.append(distribution(name, p[i, own], q[i, own]))
    return torch.stack(values)


def tokens(name: str, p: Tensor, q: Tensor, labelled: Tensor) -> Tensor:
    """(B, T, C): one distribution over C classes for each labelled token, (B, T)."""
    values = []
    for i in range(p.shape[0]):
        for t in range(p.shape[1]):
            if labelled[i, t]:
                values.append(distribution(name, p[i, t], q[i, t]))
    return torch.stack(values)


def spans(name: str, p: Tensor, q: Tensor, present: Tensor) -> Tensor:
    """(B, T, 2): the mean of the distributions of start and end over the tokens present, (B, T)."""
    values = []
    for i in range(len(p)):
        own = [t for t in range(p.shape[1]) if present[i, t]]
        start = distribution(name, p[i, own, 0], q[i, own, 0])
        end = distribution(name, p[i, own, 1], q[i, own, 1])
        values.append((start + end) / 2)
    return torch.stack(values)

"""The stochastic answer network of MT-DNN (arXiv 1901.11504, eq. 3 and 4; SAN: arXiv 1804.07888).

Multi-step inference on a pair of sentences; SAN for reading comprehension is arXiv 1712.03556.
In evaluation all steps count alike.
"""

from __future__ import annotations

import torch
from torch import Tensor


def softmax(values: list[Tensor]) -> list[Tensor]:
    """exp(v_j) / sum_k exp(v_k)."""
    top = max(value.item() for value in values)
    powers = [torch.exp(value - top) for value in values]
    return [power / sum(powers) for power in powers]


def attention(memory: list[Tensor], scores: list[Tensor]) -> Tensor:
    """sum_j softmax(scores)_j M_j."""
    weights = softmax(scores)
    return sum(weights[j] * memory[j] for j in range(len(memory)))


def sigmoid(values: Tensor) -> Tensor:
    """1 / (1 + exp(-v))."""
    return 1 / (1 + torch.exp(-values))


def gru(x: Tensor, state: Tensor, w: dict[str, Tensor]) -> Tensor:
    """The gated recurrent unit (Cho et al. 2014, arXiv 1406.1078), in the order r, z, n of torch."""
    size = len(state)
    from_x = w["update.weight_ih"] @ x + w["update.bias_ih"]
    from_state = w["update.weight_hh"] @ state + w["update.bias_hh"]
    r = sigmoid(from_x[:size] + from_state[:size])
    z = sigmoid(from_x[size : 2 * size] + from_state[size : 2 * size])
    n = torch.tanh(from_x[2 * size :] + r * from_state[2 * size :])
    return (1 - z) * n + z * state


def predict(
    premise: list[Tensor], hypothesis: list[Tensor], w: dict[str, Tensor], steps: int
) -> Tensor:
    """P of one pair, the mean over the steps; for one output, the mean of the numbers.

    Args:
        premise: M^p, the hidden states (H,) of the first sentence.
        hypothesis: M^h, those of the second sentence.
        w: weights by name: summary (w_1), query (W_2), update (GRU), output (W_3).
        steps: K.
    """
    w_1, w_2 = w["summary.weight"][0], w["query.weight"]
    state = attention(hypothesis, [w_1 @ m for m in hypothesis])  # s^0
    found = []
    for step in range(steps):
        x = attention(premise, [(w_2 @ state) @ m for m in premise])  # beta = softmax(s W_2 M^p)
        if step > 0:
            state = gru(x, state, w)  # s^k = GRU(s^(k-1), x^k)
        features = torch.cat([state, x, (state - x).abs(), state * x])
        logits = w["output.weight"] @ features + w["output.bias"]
        found.append(logits if len(logits) == 1 else torch.stack(softmax(list(logits))))
    return sum(found) / steps

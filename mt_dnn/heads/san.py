"""The stochastic answer network: a head that reads a sentence pair in several steps."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from data_utils.collator import Batch


def sentence_masks(batch: Batch) -> tuple[Tensor, Tensor]:
    """Which tokens make the memory of the first sentence and of the second, (N, T) bool each.

    Special tokens belong to the sentence whose token type they carry: the types do not tell them
    from words, and what [CLS] and the separators hold after the encoder is a summary worth reading.
    A memory never lacks tokens: where a sentence is absent, all real tokens take its place, so that
    a single sentence is compared with itself.
    """
    real = batch.attention_mask.bool()
    if batch.token_type_ids is None:
        return real, real
    second = real & (batch.token_type_ids == 1)
    first = real & ~second
    one, two = (torch.where(m.any(-1, keepdim=True), m, real) for m in (first, second))
    return one, two


def attend(memory: Tensor, scores: Tensor, mask: Tensor) -> Tensor:
    """The mean of a memory weighted by the softmax of ``scores`` over the tokens of ``mask``.

    Args:
        memory: (N, T, H).
        scores: (N, T).
        mask: (N, T) bool.

    Returns:
        (N, H)
    """
    # The lowest finite number and not -inf: a row without any token must not be NaN.
    weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(-1)
    return (weights.unsqueeze(1) @ memory).squeeze(1)


class SANHead(nn.Module):
    """Reads the premise K times from a state that starts as the hypothesis; averages K predictions.

    The answer module of SAN (Liu et al., arXiv 1804.07888, section 2) as MT-DNN has it on an encoder
    (arXiv 1901.11504, section 3, eq. 3 and 4). With the memories M^p and M^h, the hidden states of the
    two sentences (:func:`sentence_masks`):

        s^0 = sum_j alpha_j M^h_j        alpha = softmax_j(w_1 . M^h_j)
        x^k = sum_j beta_j M^p_j         beta = softmax_j(s^(k-1) W_2 M^p_j)
        s^k = GRU(s^(k-1), x^k)          k = 1 .. K-1
        P^k = softmax(W_3 [s^k; x^k; |s^k - x^k|; s^k * x^k])
        P   = mean of P^0 .. P^(K-1)

    The papers leave x^0 open; here s^0, the only state there is, reads it, so that x^0 = x^1. W_3 has
    a bias, as the other heads' output layers do.

    **Output.** (N, n_out). For n_out > 1 it is log P, whose softmax is P, so that a loss or a
    divergence that takes softmax logits sees the averaged distribution (a task of independent labels
    has no use for it). For n_out = 1, a number or a candidate's score, it is the mean of the K
    numbers themselves, whose softmax would be 1 whatever they are.

    **Prediction dropout.** In training each example drops each step's prediction with probability
    ``prediction_dropout`` and averages the rest; if all would go, one at random stays. The mean is
    over those kept, so P stays a distribution, and as no step is treated unlike another, each has the
    expected weight 1/K that evaluation gives it. Drawn from the global generator of the device, as
    dropout is.

    **Dropout.** On the memories the mask of a feature holds for all tokens of an example and all
    steps (SAN's variational dropout); before W_3 each step has its own.

    Args:
        steps: K, 5 in SAN's experiments.
        dropout: rate on the memories and before the output layer.
        prediction_dropout: MT-DNN's rate for all task-specific layers (section 4.2). SAN, trained
            without a pretrained encoder, has 0.2.

    Raises:
        ValueError: ``steps`` below 1, or a rate outside [0, 1].
    """

    def __init__(
        self,
        hidden_size: int,
        n_out: int,
        *,
        steps: int = 5,
        dropout: float = 0.1,
        prediction_dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if steps < 1:
            raise ValueError(f"steps {steps}; at least 1")
        if not 0 <= prediction_dropout <= 1:
            raise ValueError(f"prediction_dropout {prediction_dropout}; a rate from 0 to 1")
        self.steps = steps
        self.prediction_dropout = prediction_dropout
        self.memory_dropout = nn.Dropout1d(dropout)
        self.summary = nn.Linear(hidden_size, 1, bias=False)  # w_1
        self.query = nn.Linear(hidden_size, hidden_size, bias=False)  # W_2
        self.update = nn.GRUCell(hidden_size, hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(4 * hidden_size, n_out)  # W_3
        for layer in (self.summary, self.query, self.output):
            nn.init.normal_(layer.weight, std=0.02)
        nn.init.zeros_(self.output.bias)

    def forward(self, hidden: Tensor, batch: Batch) -> Tensor:
        logits = self.step_logits(hidden, batch)  # (N, K, n_out)
        # Probabilities are averaged in float32 at least, whatever autocast says.
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        weights = self.step_weights(logits).unsqueeze(-1)  # (N, K, 1)
        if logits.shape[-1] == 1:
            return (weights * logits).sum(1)
        return (logits.log_softmax(-1) + weights.log()).logsumexp(1)

    def step_logits(self, hidden: Tensor, batch: Batch) -> Tensor:
        """What each step says, before softmax: (N, T, H) -> (N, K, n_out)."""
        first, second = sentence_masks(batch)
        memory = hidden.masked_fill(~batch.attention_mask.bool().unsqueeze(-1), 0.0)
        memory = self.memory_dropout(memory.mT).mT  # whole features: (N, H, T) there
        state = attend(memory, self.summary(memory).squeeze(-1), second)  # s^0, (N, H)
        features = []
        for step in range(self.steps):
            scores = (memory @ self.query(state).unsqueeze(-1)).squeeze(-1)  # (N, T)
            x = attend(memory, scores, first)  # (N, H)
            if step > 0:
                state = self.update(x, state)
            features.append(torch.cat([state, x, (state - x).abs(), state * x], dim=-1))
        return self.output(self.dropout(torch.stack(features, dim=1)))

    def step_weights(self, logits: Tensor) -> Tensor:
        """Each step's share of the average, (N, K): rows sum to 1; a dropped step has 0."""
        if not self.training:
            return logits.new_full(logits.shape[:2], 1 / self.steps)
        draws = torch.rand(logits.shape[:2], device=logits.device)
        # The largest draw stays at any rate, and is equally likely to be any step's.
        kept = (draws >= self.prediction_dropout) | (draws == draws.amax(1, keepdim=True))
        return kept / kept.to(logits.dtype).sum(1, keepdim=True)

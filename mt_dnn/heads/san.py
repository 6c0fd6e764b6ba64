"""Stochastic answer network (SAN): multi-step inference on sentence pairs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from data_utils.collator import Batch
from data_utils.errors import UserError
from data_utils.task_def import TaskDef
from mt_dnn.heads.output import Output

SAN_OPTIONS: dict[str, int | float] = {"san_steps": 5, "san_prediction_dropout": 0.1}
"""Options of tasks with ``enable_san``, with their defaults: K, and the rate of prediction dropout."""


def check_san_options(task: TaskDef) -> None:
    """Check the values of :data:`SAN_OPTIONS`.

    Raises:
        UserError: a value is out of range.
    """
    steps, rate = (task.options[name] for name in SAN_OPTIONS)
    if steps < 1:
        raise UserError(f"{task.where}: options: san_steps: {steps}; it must be at least 1")
    if not 0 <= rate <= 1:
        raise UserError(
            f"{task.where}: options: san_prediction_dropout: {rate}; it must be between 0 and 1"
        )


def sentence_masks(batch: Batch) -> tuple[Tensor, Tensor]:
    """Select the tokens of the first and the second sentence: two masks (N, T), bool.

    Special tokens belong to the sentence of their token type. Token types do not distinguish them
    from words, and the hidden states of [CLS] and of the separators summarize the sentence. If a
    sentence is absent, its mask selects all real tokens, so that a single sentence is compared with
    itself and no mask is empty.
    """
    real = batch.attention_mask.bool()
    if batch.token_type_ids is None:
        return real, real
    second = real & (batch.token_type_ids == 1)
    first = real & ~second
    one, two = (torch.where(m.any(-1, keepdim=True), m, real) for m in (first, second))
    return one, two


def attend(memory: Tensor, scores: Tensor, mask: Tensor) -> Tensor:
    """Average ``memory`` over the tokens of ``mask``, with weights softmax(scores).

    Args:
        memory: (N, T, H).
        scores: (N, T).
        mask: (N, T) bool.

    Returns:
        (N, H)
    """
    # The lowest finite number instead of -inf, because a row without tokens would become NaN.
    weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(-1)
    return (weights.unsqueeze(1) @ memory).squeeze(1)


class SANHead(nn.Module):
    """Stochastic answer network: averages predictions of K steps over a sentence pair.

    The answer module of SAN (Liu et al., arXiv 1804.07888, section 2) on an encoder, as in MT-DNN
    (arXiv 1901.11504, section 3, eq. 3 and 4). M^p and M^h are the hidden states of premise and
    hypothesis, the first and the second sentence (:func:`sentence_masks`):

        s^0 = sum_j alpha_j M^h_j        alpha = softmax_j(w_1 . M^h_j)
        x^k = sum_j beta_j M^p_j         beta = softmax_j(s^(k-1) W_2 M^p_j)
        s^k = GRU(s^(k-1), x^k)          k = 1 .. K-1
        P^k = softmax(W_3 [s^k; x^k; |s^k - x^k|; s^k * x^k])
        P   = mean of P^0 .. P^(K-1)

    The papers do not define x^0. Here it is computed with s^0, the only state available, so that
    x^0 = x^1. W_3 has a bias, like the output layers of the other heads.

    **Output.** (N, n_out). For n_out > 1 the output is log P. Its softmax is P, so losses and
    divergences that expect softmax logits use the averaged distribution. (This does not fit a task
    with independent labels.) For n_out = 1, a number or the score of a candidate, the output is the
    mean of the K numbers, because a softmax over one entry is always 1.

    **Prediction dropout.** In training, the prediction of each step is dropped with probability
    ``prediction_dropout``, independently for each example, and the others are averaged. If all would
    be dropped, a random one is kept. The mean is over the kept predictions, so P is a distribution.
    All steps have the expected weight 1/K, which is their weight in evaluation. Like dropout, it draws
    from the global generator of the device.

    **Dropout.** The dropout mask on the memories is the same for all tokens of an example and for all
    steps (the variational dropout of SAN). Before W_3 each step has its own mask.

    Args:
        hidden_size: H.
        n_out: number of outputs.
        steps: K; SAN uses 5 in its experiments.
        dropout: dropout rate on the memories and before the output layer.
        prediction_dropout: the default is the rate of MT-DNN for all task-specific layers (section
            4.2). SAN, which has no pretrained encoder, uses 0.2.

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
            raise ValueError(f"steps is {steps}; it must be at least 1")
        if not 0 <= prediction_dropout <= 1:
            raise ValueError(
                f"prediction_dropout is {prediction_dropout}; it must be between 0 and 1"
            )
        self.steps = steps
        self.prediction_dropout = prediction_dropout
        self.memory_dropout = nn.Dropout1d(dropout)
        self.summary = nn.Linear(hidden_size, 1, bias=False)  # w_1
        self.query = nn.Linear(hidden_size, hidden_size, bias=False)  # W_2
        self.update = nn.GRUCell(hidden_size, hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.output = Output(4 * hidden_size, n_out)  # W_3
        for layer in (self.summary, self.query, self.output):
            nn.init.normal_(layer.weight, std=0.02)
        nn.init.zeros_(self.output.bias)

    def forward(self, hidden: Tensor, batch: Batch) -> Tensor:
        """Compute the averaged prediction: (N, T, H) -> (N, n_out)."""
        logits = self.step_logits(hidden, batch)  # (N, K, n_out)
        # Average the probabilities in float32 or wider, also under autocast.
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        weights = self.step_weights(logits).unsqueeze(-1)  # (N, K, 1)
        if logits.shape[-1] == 1:
            return (weights * logits).sum(1)
        return (logits.log_softmax(-1) + weights.log()).logsumexp(1)

    def step_logits(self, hidden: Tensor, batch: Batch) -> Tensor:
        """Compute the logits of every step: (N, T, H) -> (N, K, n_out)."""
        first, second = sentence_masks(batch)
        memory = hidden.masked_fill(~batch.attention_mask.bool().unsqueeze(-1), 0.0)
        memory = self.memory_dropout(memory.mT).mT  # (N, H, T): drops whole features
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
        """Weights of the steps in the average, (N, K): rows sum to 1; 0 if dropped."""
        if not self.training:
            return logits.new_full(logits.shape[:2], 1 / self.steps)
        draws = torch.rand(logits.shape[:2], device=logits.device)
        # Always keep the step with the largest draw; every step is equally likely to have it.
        kept = (draws >= self.prediction_dropout) | (draws == draws.amax(1, keepdim=True))
        return kept / kept.to(logits.dtype).sum(1, keepdim=True)

"""Head of HNN: a masked language model and a semantic similarity model on one encoder."""

from __future__ import annotations

import dataclasses
import math
from itertools import chain

import numpy as np
import torch
from torch import Tensor, nn

from data_utils.collator import Batch, pad
from mt_dnn.encoders.encoder import Encoder
from mt_dnn.heads.mask_lm import MaskLMHead, pretrained_weights
from mt_dnn.heads.masking import to_device
from mt_dnn.heads.pooled import by_example

MLM, SSM, BOTH = "mlm", "ssm", "both"
PARTS = (BOTH, MLM, SSM)
"""Which of the two models a head has."""
INITIAL_STD = 0.01
"""Standard deviation of new weights: ``initializer_range`` of HNN's released configuration."""
NO_TOKEN = -1


class HybridHead(nn.Module):
    """Scores candidates with two models that share the encoder: hidden states -> (B, K, 2).

    * The masked language model gives log P_mlm(C | S), the mean of log P(c_n) over the tokens c_n of the
      candidate C, each at its mask token in the text S. Its layers start from the masked language
      model of the checkpoint, if there is one, else at random.
    * The semantic similarity model gives Sim(C, S) = (W_s c) . s. Here s is the hidden state of the
      pronoun's first token, and c = sum_t a_t h_t over the candidate's tokens in the second text, with
      a = softmax_t((W_q h_cls) . h_t / sqrt(H)).

    Args:
        encoder: the encoder.
        part: ``both``, or ``mlm`` or ``ssm`` for a head with one model.

    Source: He et al. 2019, arXiv 1907.11983, and hnn/src/apps/hnn_model.py of its code (pooling ``cap``,
    similarity ``bilinear``).
    """

    def __init__(self, encoder: Encoder, *, part: str = BOTH) -> None:
        super().__init__()
        self.words: MaskLMHead | None = None
        self.query: nn.Linear | None = None
        self.similarity: nn.Linear | None = None
        if part in (BOTH, MLM):
            self.words = MaskLMHead(encoder)
            if weights := pretrained_weights(encoder):
                self.words.load_state_dict(weights)
        if part in (BOTH, SSM):
            width = encoder.hidden_size
            self.query = nn.Linear(width, width, bias=False)
            self.similarity = nn.Linear(width, width, bias=False)
            for layer in (self.query, self.similarity):
                nn.init.normal_(layer.weight, std=INITIAL_STD)

    def forward(self, hidden: Tensor, batch: Batch) -> Tensor:
        """Compute both scores of every candidate.

        Args:
            hidden: (N, T, H); rows 2 n and 2 n + 1 are the two sequences of candidate n.
            batch: a batch of PronounChoice. True cells of ``candidate_mask`` (B, 2 K) are sequences.

        Returns:
            (B, K, 2): log P_mlm and Sim, in float32 or wider; 0 where a candidate or a model is absent.
        """
        masked, paired = hidden.unflatten(0, (-1, 2)).unbind(1)  # (n, T, H) each
        dtype = torch.promote_types(hidden.dtype, torch.float32)
        none = hidden.new_zeros(len(masked), dtype=dtype)
        log_p = none if self.words is None else self.log_likelihood(masked, batch)
        similar = none if self.query is None else self.similarities(paired, batch)
        scores = torch.stack([log_p, similar], dim=-1)  # (n, 2)
        assert batch.candidate_mask is not None
        return by_example(scores, batch.candidate_mask[:, ::2])

    def log_likelihood(self, hidden: Tensor, batch: Batch) -> Tensor:
        """Compute log P_mlm of each candidate: (n, T, H) -> (n,)."""
        assert self.words is not None
        at = _padded(batch, "blank_at", hidden.device)  # (n, M)
        ids = _padded(batch, "fill", hidden.device)  # (n, M)
        chosen = _gathered(hidden, at)  # (n, M, H)
        logits = self.words(chosen, dataclasses.replace(batch, extras={}))  # (n, M, V)
        log_p = logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1)
        each = log_p.gather(-1, ids.clamp(min=0).unsqueeze(-1)).squeeze(-1)  # (n, M)
        real = ids != NO_TOKEN
        return each.masked_fill(~real, 0.0).sum(-1) / real.sum(-1)

    def similarities(self, hidden: Tensor, batch: Batch) -> Tensor:
        """Compute Sim of each candidate: (n, T, H) -> (n,)."""
        assert self.query is not None
        assert self.similarity is not None
        at = _padded(batch, "candidate_at", hidden.device)  # (n, C)
        places = np.array(list(chain.from_iterable(batch.extras["pronoun_at"])), np.int64)
        pronoun_at = to_device(torch.from_numpy(places).unsqueeze(1), hidden.device)  # (n, 1)
        tokens = _gathered(hidden, at)  # (n, C, H)
        query = self.query(hidden[:, :1])  # (n, 1, H)
        attention = (query @ tokens.mT).squeeze(1) / math.sqrt(hidden.shape[-1])  # (n, C)
        attention = attention.to(torch.promote_types(attention.dtype, torch.float32))
        weights = attention.masked_fill(at == NO_TOKEN, float("-inf")).softmax(-1)
        candidate = (weights.to(tokens.dtype).unsqueeze(1) @ tokens).squeeze(1)  # (n, H)
        pronoun = _gathered(hidden, pronoun_at).squeeze(1)  # (n, H)
        product = self.similarity(candidate) * pronoun
        return product.to(torch.promote_types(product.dtype, torch.float32)).sum(-1)


def _padded(batch: Batch, name: str, device: torch.device) -> Tensor:
    """Return a column of lists per candidate as (n, L), padded with NO_TOKEN."""
    rows = [np.asarray(row, np.int64) for row in chain.from_iterable(batch.extras[name])]
    return to_device(pad(rows, NO_TOKEN), device)


def _gathered(hidden: Tensor, at: Tensor) -> Tensor:
    """Return the hidden states at the positions: (n, T, H) and (n, L) -> (n, L, H)."""
    index = at.clamp(min=0).unsqueeze(-1).expand(-1, -1, hidden.shape[-1])
    return hidden.gather(1, index)

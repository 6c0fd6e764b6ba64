"""Heads that pool hidden states, score candidates, or classify tokens."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn

from data_utils.collator import Batch
from data_utils.task_def import TaskDef
from mt_dnn.config.run import ModelConfig
from mt_dnn.encoders.encoder import Encoder
from mt_dnn.heads.output import Output
from mt_dnn.heads.san import SAN_OPTIONS, SANHead

POOLINGS = ("cls", "mean", "max", "attention", "pair")
ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "gelu": nn.GELU, "relu": nn.ReLU}


def pool(hidden: Tensor, attention_mask: Tensor, how: str) -> Tensor:
    """Reduce the hidden states to one vector per sequence.

    Args:
        hidden: (N, T, H).
        attention_mask: (N, T), 1 on real tokens.
        how: ``cls`` (the first token), ``mean`` or ``max`` (over real tokens).

    Returns:
        (N, H)

    Raises:
        ValueError: ``how`` is unknown.
    """
    if how == "cls":
        return hidden[:, 0]
    mask = attention_mask.unsqueeze(-1)  # (N, T, 1)
    if how == "mean":
        return hidden.masked_fill(mask == 0, 0.0).sum(1) / mask.sum(1).clamp(min=1)
    if how == "max":
        return hidden.masked_fill(mask == 0, float("-inf")).amax(1)
    raise ValueError(f"unknown pooling {how!r}; choices: cls, mean, max")


def pool_pair(hidden: Tensor, batch: Batch) -> Tensor:
    """Compute [u; v; |u - v|; u * v], where u and v are the means of two sentences.

    These are the features of InferSent, here for jointly encoded sentences. They suit encoders that
    were trained for comparable means, such as sentence encoders. Without a second sentence v is 0.

    Args:
        hidden: (N, T, H).
        batch: the batch of ``hidden``; its ``token_type_ids`` are 1 on the second sentence.

    Returns:
        (N, 4 H)

    Source: Conneau et al., arXiv 1705.02364, section 3.1.
    """
    mask = batch.attention_mask
    second = torch.zeros_like(mask)
    if batch.token_type_ids is not None:
        second = (batch.token_type_ids == 1) * mask
    u, v = pool(hidden, mask - second, "mean"), pool(hidden, second, "mean")
    return torch.cat([u, v, (u - v).abs(), u * v], dim=-1)


class AttentionPooling(nn.Module):
    """Attention pooling: sum_t a_t h_t with a = softmax_t(w . h_t) over real tokens.

    w starts at 0, which gives the mean.

    Source: the word attention of Yang et al. 2016 (N16-1174), without its hidden layer.
    """

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.score = nn.Linear(hidden_size, 1, bias=False)
        nn.init.zeros_(self.score.weight)

    def forward(self, hidden: Tensor, attention_mask: Tensor) -> Tensor:
        """(N, T, H) and mask (N, T) -> (N, H)."""
        scores = self.score(hidden).squeeze(-1)  # (N, T)
        lowest = torch.finfo(scores.dtype).min
        weights = scores.masked_fill(attention_mask == 0, lowest).softmax(-1)
        return (weights.unsqueeze(1) @ hidden).squeeze(1)


def initialize(head: nn.Module) -> None:
    """Initialize dense layers as in BERT: weights from N(0, 0.02^2), biases 0."""
    for layer in head.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def task_dropout(task: TaskDef, config: ModelConfig) -> float:
    """Dropout rate of the task; defaults to the rate of the run."""
    return config.dropout if task.dropout is None else task.dropout


class PooledHead(nn.Module):
    """Classifier of BERT: pool -> dense -> activation -> dropout -> output.

    Args:
        hidden_size: H.
        n_out: number of outputs.
        pooling: cls, mean, max, attention or pair.
        activation: tanh, gelu, relu, or none to omit the dense layer.
        dropout: dropout rate before the output layer.
    """

    def __init__(
        self,
        hidden_size: int,
        n_out: int,
        *,
        pooling: str = "cls",
        activation: str = "tanh",
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.pooling = pooling
        width = 4 * hidden_size if pooling == "pair" else hidden_size
        self.pooler = nn.Sequential()  # identity if empty
        if activation != "none":
            self.pooler.append(nn.Linear(width, hidden_size))
            width = hidden_size
            self.pooler.append(ACTIVATIONS[activation]())
        self.dropout = nn.Dropout(dropout)
        self.output = Output(width, n_out)
        initialize(self)
        if pooling == "attention":
            self.attention = AttentionPooling(hidden_size)

    @classmethod
    def for_task(cls, encoder: Encoder, n_out: int, *, task: TaskDef, config: ModelConfig) -> Self:
        """Build the head of a task and start from the pretrained pooler, if it fits.

        Settings that the task does not define are those of the run.
        """
        head = cls(
            encoder.hidden_size,
            n_out,
            pooling=task.pooling or config.pooling,
            activation=task.activation or config.activation,
            dropout=task_dropout(task, config),
        )
        if pooler := encoder.pooler_weights():
            head.start_from_pooler(*pooler)
        return head

    @torch.no_grad()
    def start_from_pooler(self, weight: Tensor, bias: Tensor) -> None:
        """Copy the pretrained pooler to the dense layer.

        Nothing is copied unless pooling is cls, the activation is tanh and the shapes are equal.

        Args:
            weight: (H, H).
            bias: (H,).
        """
        if self.pooling != "cls" or not len(self.pooler):
            return
        dense, activation = self.pooler
        assert isinstance(dense, nn.Linear)
        if isinstance(activation, nn.Tanh) and dense.weight.shape == weight.shape:
            dense.weight.copy_(weight)
            dense.bias.copy_(bias)

    def forward(self, hidden: Tensor, batch: Batch) -> Tensor:
        """Compute one output per sequence: (N, T, H) -> (N, n_out)."""
        if self.pooling == "pair":
            pooled = pool_pair(hidden, batch)  # (N, 4 H)
        elif self.pooling == "attention":
            pooled = self.attention(hidden, batch.attention_mask)  # (N, H)
        else:
            pooled = pool(hidden, batch.attention_mask, self.pooling)  # (N, H)
        pooled = self.pooler(pooled)  # (N, H); unchanged if activation is none
        return self.output(self.dropout(pooled))  # (N, n_out)


def sequence_head(
    encoder: Encoder, n_out: int, *, task: TaskDef, config: ModelConfig
) -> PooledHead | SANHead:
    """Build the head that maps a whole sentence or pair to n_out numbers.

    It is a :class:`mt_dnn.heads.san.SANHead` if the task enables SAN, else a :class:`PooledHead`.
    """
    if task.enable_san:
        options = SAN_OPTIONS | task.options
        return SANHead(
            encoder.hidden_size,
            n_out,
            steps=int(options["san_steps"]),
            dropout=task_dropout(task, config),
            prediction_dropout=options["san_prediction_dropout"],
        )
    return PooledHead.for_task(encoder, n_out, task=task, config=config)


def by_example(values: Tensor, present: Tensor) -> Tensor:
    """Arrange the values of sequences by example: (N, ...) -> (B, K, ...), 0 where absent.

    Args:
        present: (B, K) bool; its true cells, row by row, are the N sequences.
    """
    # Not masked_scatter, whose backward pass counts the true entries of the mask and therefore
    # synchronizes with the device.
    place = (present.flatten().cumsum(0) - 1).clamp(min=0)  # (B K,)
    rows = values.index_select(0, place).unflatten(0, present.shape)
    return rows.masked_fill(~present.view(*present.shape, *[1] * (values.dim() - 1)), 0.0)


class CandidateHead(nn.Module):
    """Scores candidates: (N, T, H) -> (B, K), one row per example, 0 where absent.

    Args:
        scorer: head that computes one score per candidate, (N, T, H) -> (N, 1).
    """

    def __init__(self, scorer: nn.Module) -> None:
        super().__init__()
        self.scorer = scorer

    def forward(self, hidden: Tensor, batch: Batch) -> Tensor:
        """Score the candidates of a batch: (N, T, H) -> (B, K)."""
        scores = self.scorer(hidden, batch).squeeze(1)  # (N,)
        assert batch.candidate_mask is not None
        return by_example(scores, batch.candidate_mask)


class TokenHead(nn.Module):
    """Token classifier, dropout -> output at every token: (N, T, H) -> (N, T, n_out)."""

    def __init__(self, hidden_size: int, n_out: int, *, dropout: float = 0.1) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.output = Output(hidden_size, n_out)
        initialize(self)

    @classmethod
    def for_task(cls, encoder: Encoder, n_out: int, *, task: TaskDef, config: ModelConfig) -> Self:
        """Build the head of a task with the dropout rate of the task or of the run."""
        return cls(encoder.hidden_size, n_out, dropout=task_dropout(task, config))

    def forward(self, hidden: Tensor, batch: Batch) -> Tensor:
        """Compute the logits of every token: (N, T, H) -> (N, T, n_out)."""
        return self.output(self.dropout(hidden))

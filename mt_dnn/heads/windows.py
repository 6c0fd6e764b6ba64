"""Merge the logits of an example's windows."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from data_utils.collator import Batch
from data_utils.errors import UserError
from mt_dnn.heads.pooled import by_example
from mt_dnn.registries import MERGES

Merge = Callable[[Tensor, Tensor], Tensor]
"""``merge(logits (B, W, C), present (B, W)) -> (B, C)``. Logits where ``present`` is false are padding, 0."""


def mean(logits: Tensor, present: Tensor) -> Tensor:
    """The mean of the windows' logits.

    Its softmax is the normalized geometric mean of the windows' probabilities.
    """
    count = present.sum(1, keepdim=True)  # (B, 1)
    return logits.sum(1) / count


def max(logits: Tensor, present: Tensor) -> Tensor:
    """The greatest logit of each class among the windows."""
    return logits.masked_fill(~present.unsqueeze(-1), float("-inf")).amax(1)


class MergedHead(nn.Module):
    """A head whose logits are merged over the windows of each example: (N, T, H) -> (B, C).

    Losses, divergences, decoding and whatever else reads logits see one row per example, as if the text
    had been one sequence, and gradients flow through the merge to all windows.

    Args:
        head: computes one row per sequence, (N, T, H) -> (N, C).
        merge: name in :data:`mt_dnn.registries.MERGES`.
    """

    def __init__(self, head: nn.Module, merge: str) -> None:
        super().__init__()
        self.head = head
        self.merge = merge

    def forward(self, hidden: Tensor, batch: Batch) -> Tensor:
        """Compute the logits of the examples; a batch without windows has one sequence for each.

        Raises:
            UserError: the merge, of a plugin, returns another shape than (B, C).
        """
        logits = self.head(hidden, batch)  # (N, C)
        present = batch.candidate_mask
        if present is None:
            return logits
        by_window = by_example(logits, present)  # (B, W, C)
        merged = MERGES.get(self.merge)(by_window, present)
        wanted = by_window[:, 0].shape
        if merged.shape != wanted:
            raise UserError(
                f"merge of windows {self.merge!r} returned the shape {tuple(merged.shape)}; expected "
                f"{tuple(wanted)}, one row per example"
            )
        return merged

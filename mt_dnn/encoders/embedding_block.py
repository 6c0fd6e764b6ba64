"""The embedding block of an encoder: word embeddings -> input of the first layer.

The block adds positions and token types to the word embeddings, and applies LayerNorm, dropout and,
where the embedding size E is not the hidden size H, a projection. Its output, (N, T, H), is what the
first layer receives. Dropout is the last operation of most blocks, so a shift of the output is added
after dropout and is not dropped itself. In a pass with other dropout masks, the shift is added to the
output under those masks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from data_utils.errors import UserError

BLOCKS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("bert", "nezha", "distilbert", "mpnet"), ("embeddings",)),
    **dict.fromkeys(("roberta", "xlm-roberta", "camembert"), ("embeddings",)),
    **dict.fromkeys(("deberta", "deberta-v2"), ("embeddings",)),
    "electra": ("embeddings_project", "embeddings"),  # a projection only where E is not H
    "albert": ("encoder.embedding_hidden_mapping_in",),
}
"""``model_type`` -> names of the module whose output enters the first layer; the first that exists."""


def embedding_block(model: PreTrainedModel) -> nn.Module:
    """Return the module whose output enters the first layer.

    Raises:
        UserError: the architecture is not in :data:`BLOCKS`.
    """
    kind = model.config.model_type
    modules = dict(model.named_modules())
    for name in BLOCKS.get(kind, ()):
        if name in modules:
            return modules[name]
    raise UserError(
        f"smoothness.space: embedding_output is not defined for a {kind} encoder, whose word "
        f"embeddings enter the first layer without an embedding block that this package knows. Set "
        f"smoothness.space to words, or use an encoder of one of these types: {', '.join(BLOCKS)}"
    )


@contextmanager
def shifted(model: PreTrainedModel, shift: Tensor) -> Iterator[None]:
    """Add ``shift``, (N, T, H), to the output of the embedding block during the context.

    Raises:
        UserError: see :func:`embedding_block`.
    """

    def add(block: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        return output + shift

    handle = embedding_block(model).register_forward_hook(add)
    try:
        yield
    finally:
        handle.remove()


class _Reached(Exception):
    """The output of the embedding block, which ends the pass."""

    def __init__(self, output: Tensor) -> None:
        self.output = output


def block_output(model: PreTrainedModel, inputs: dict[str, Tensor]) -> Tensor:
    """Run a model up to the end of its embedding block and return the output, (N, T, H).

    Raises:
        UserError: see :func:`embedding_block`.
    """

    def stop(block: nn.Module, inputs: Any, output: Tensor) -> None:
        raise _Reached(output)

    handle = embedding_block(model).register_forward_hook(stop)
    try:
        # Not model(...): a compiled call does not see a hook that was added after compiling.
        model.forward(**inputs)
    except _Reached as reached:
        return reached.output
    finally:
        handle.remove()
    raise AssertionError(f"{type(model).__name__} has not used its embedding block")

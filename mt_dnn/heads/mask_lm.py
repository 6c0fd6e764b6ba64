"""Masked language model head of BERT: hidden states -> logits over the vocabulary."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoModelForMaskedLM
from transformers.activations import ACT2FN
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING

from data_utils.collator import Batch
from data_utils.collator import pad as pad_rows
from mt_dnn.encoders.encoder import Encoder
from mt_dnn.encoders.pretrained import load_errors, quiet
from mt_dnn.heads.masking import to_device
from mt_dnn.heads.pooled import initialize

MASKED_AT = "masked_at"
"""Key of ``Batch.extras``: the positions of the masked tokens of each example."""


class MaskLMHead(nn.Module):
    """Masked language model head that uses the word embeddings as output layer.

    dense (H -> E) -> activation -> LayerNorm -> product with the word embeddings (V, E) + bias. E is
    the width of the embeddings; ELECTRA and ALBERT have E != H. The embeddings belong to the encoder
    and are not registered in this module. They are therefore saved, optimized and (for the proximal
    teacher) replaced only once, in the encoder.

    Args:
        encoder: the encoder whose word embeddings are used.

    Source: Devlin et al. 2019, arXiv 1810.04805.
    """

    words: nn.Embedding

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        config = encoder.config
        words = encoder.model.get_input_embeddings()
        assert isinstance(words, nn.Embedding)
        object.__setattr__(self, "words", words)  # not registered
        vocabulary, width = words.weight.shape
        self.dense = nn.Linear(encoder.hidden_size, width)
        self.activation = ACT2FN[
            _setting(config, "hidden_act", "hidden_activation", default="gelu")
        ]
        self.norm = nn.LayerNorm(
            width, eps=_setting(config, "layer_norm_eps", "norm_eps", default=1e-12)
        )
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        initialize(self)

    def forward(self, hidden: Tensor, batch: Batch) -> Tensor:
        """Compute the logits over the vocabulary.

        Only masked positions are computed if ``batch.extras`` has :data:`MASKED_AT`. The other 85% of
        the logits would not be used.

        Args:
            hidden: (B, T, H).
            batch: the batch of ``hidden``.

        Returns:
            (B, M, V) at the masked positions, where M is the largest number of them in an example, or
            (B, T, V) without :data:`MASKED_AT`.
        """
        if MASKED_AT in batch.extras:
            at = to_device(pad_rows(batch.extras[MASKED_AT], 0), hidden.device)  # (B, M)
            hidden = hidden.gather(1, at.unsqueeze(-1).expand(-1, -1, hidden.shape[-1]))
        hidden = self.norm(self.activation(self.dense(hidden)))  # (B, M, E)
        return F.linear(hidden, self.words.weight, self.bias)


def _setting(config: Any, *names: str, default: Any) -> Any:
    """Return the first of several attributes that the configuration has."""
    return next((getattr(config, name) for name in names if hasattr(config, name)), default)


def pretrained_weights(encoder: Encoder) -> dict[str, Tensor] | None:
    """Read the weights of the head from the checkpoint of the encoder.

    Parameter names differ between architectures. The parameters outside the base model are therefore
    identified by shape: one matrix, a normalization layer and a bias as long as the vocabulary.

    Args:
        encoder: the encoder, whose ``source`` is the checkpoint.

    Returns:
        The state of :class:`MaskLMHead`, or None if the checkpoint has no such head.

    Raises:
        UserError: the checkpoint cannot be loaded.
    """
    if encoder.source is None or type(encoder.config) not in MODEL_FOR_MASKED_LM_MAPPING:
        return None
    if encoder.config.architectures == [type(encoder.model).__name__]:
        return None  # a checkpoint without a head, such as that of a run
    # transformers draws missing weights at random, which must not change the weights of other heads.
    fork = torch.random.fork_rng(devices=[])
    with quiet(), load_errors(encoder.source, "masked language model"), fork:
        model, info = AutoModelForMaskedLM.from_pretrained(
            encoder.source, dtype=torch.float32, output_loading_info=True
        )
    shared = {id(parameter) for parameter in model.base_model.parameters()}
    own = {name: p for name, p in model.named_parameters() if id(p) not in shared}
    if own.keys() & {*info["missing_keys"], *(key for key, *_ in info["mismatched_keys"])}:
        return None
    return _by_shape({name: p.detach() for name, p in own.items()})


def _by_shape(own: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """Rename the parameters to those of :class:`MaskLMHead`; None if they do not fit."""
    matrices = [name for name, tensor in own.items() if tensor.ndim == 2]
    if len(matrices) != 1:
        return None
    dense = matrices[0].removesuffix("weight")
    found: dict[str, Tensor] = {}
    for name, tensor in own.items():
        kind = name.rpartition(".")[2]
        if name.startswith(dense):
            ours = f"dense.{kind}"
        elif "norm" in name.lower():
            ours = f"norm.{kind}"
        else:
            ours = "bias"
        if ours in found:
            return None
        found[ours] = tensor
    width = len(own[matrices[0]])
    zero = torch.zeros(width)  # ModernBERT has no biases in these layers
    return {"dense.bias": zero, "norm.bias": zero, **found}

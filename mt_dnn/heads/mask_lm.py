"""BERT's masked language model on an encoder: hidden states -> the vocabulary."""

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
"""In ``Batch.extras``: the positions of each example's hidden tokens."""


class MaskLMHead(nn.Module):
    """dense (H -> E) -> activation -> LayerNorm -> the encoder's word embeddings, transposed, + bias.

    Devlin et al. 2019 (arXiv 1810.04805); E is the width of the embeddings, which is not H in ELECTRA
    and ALBERT. The embeddings are the encoder's own and no part of this module: they are saved,
    optimized and, for a teacher's weights, replaced once, there.

    ``forward`` gives (B, M, V) at the positions under ``MASKED_AT``, M the most that an example has,
    and (B, T, V) where there are none: the other positions' logits, 85% of them, would be computed and
    kept for nothing.
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
            _setting(config, "hidden_act", "hidden_activation", or_else="gelu")
        ]
        self.norm = nn.LayerNorm(
            width, eps=_setting(config, "layer_norm_eps", "norm_eps", or_else=1e-12)
        )
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        initialize(self)

    def forward(self, hidden: Tensor, batch: Batch) -> Tensor:
        if MASKED_AT in batch.extras:
            at = to_device(pad_rows(batch.extras[MASKED_AT], 0), hidden.device)  # (B, M)
            hidden = hidden.gather(1, at.unsqueeze(-1).expand(-1, -1, hidden.shape[-1]))
        hidden = self.norm(self.activation(self.dense(hidden)))  # (B, M, E)
        return F.linear(hidden, self.words.weight, self.bias)


def _setting(config: Any, *names: str, or_else: Any) -> Any:
    return next((getattr(config, name) for name in names if hasattr(config, name)), or_else)


def pretrained_weights(encoder: Encoder) -> dict[str, Tensor] | None:
    """The head's weights in the encoder's checkpoint; None where it has none, or another head.

    What belongs to the language model alone is told by shape and not by name, which differs
    from one architecture to the next: one matrix, a norm, and a bias as long as the vocabulary.
    """
    if encoder.source is None or type(encoder.config) not in MODEL_FOR_MASKED_LM_MAPPING:
        return None
    if encoder.config.architectures == [type(encoder.model).__name__]:
        return None  # saved without one, as our own runs are
    # What the checkpoint lacks is drawn, which must not shift the draws of other heads.
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
    zero = torch.zeros(width)  # ModernBERT has no biases there
    return {"dense.bias": zero, "norm.bias": zero, **found}

"""NEZHA (arXiv 1909.00204): BERT with relative positions.

transformers 5 no longer contains this architecture. Importing this module registers
``model_type: nezha`` with AutoConfig, AutoModel and AutoTokenizer. It builds on the modules of BERT in
transformers; tested with releases 5.17.0 and 5.24.0.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    BertConfig,
    BertTokenizer,
    PreTrainedModel,
)
from transformers.conversion_mapping import register_checkpoint_conversion_mapping
from transformers.core_model_loading import PrefixChange
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.models.bert.modeling_bert import (
    BertEncoder,
    BertLayer,
    BertPooler,
    BertSelfAttention,
)
from transformers.utils.output_capturing import capture_outputs


class NezhaConfig(BertConfig):
    """Configuration of NEZHA: that of BERT, and ``max_relative_position``.

    ``max_relative_position`` is the largest distance between positions; larger distances are clipped
    to it. ``max_position_embeddings`` is the length that the model was trained with; there is no
    table of absolute positions.
    """

    model_type = "nezha"

    vocab_size: int = 21128
    max_relative_position: int = 64


def relative_encoding(
    length: int, depth: int, *, max_distance: int, device: torch.device | None = None
) -> Tensor:
    """Compute the sinusoidal encoding a_ij of the distance from position i to j.

    With p = clip(j - i, -max_distance, max_distance) + max_distance,

        a_ij[2k] = sin(p / 10000^(2k / depth)),  a_ij[2k + 1] = cos(p / 10000^(2k / depth)).

    Source: section "Functional Relative Positional Encoding" of the paper. The paper uses p = j - i.
    The code of its authors, which trained the published weights, shifts p to start at 0.

    Args:
        length: number of positions.
        depth: size of one attention head, an even number.
        max_distance: largest distance; larger distances are clipped to it.
        device: device of the result.

    Returns:
        (length, length, depth), float32; the first index is the query i, the second the key j.
    """
    frequency = torch.exp(torch.arange(0, depth, 2, device=device) * (-math.log(10000.0) / depth))
    angle = torch.arange(2 * max_distance + 1, device=device)[:, None] * frequency
    table = torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1)  # (2 * max + 1, depth)
    position = torch.arange(length, device=device)
    distance = (position - position[:, None]).clamp(-max_distance, max_distance)  # j - i
    return table[distance + max_distance]


class NezhaEmbeddings(nn.Module):
    """Embeddings of BERT without positions."""

    def __init__(self, config: NezhaConfig) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(
            config.vocab_size, config.hidden_size, padding_idx=config.pad_token_id
        )
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(
        self,
        input_ids: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
    ) -> Tensor:
        """Add token types to word embeddings, then normalize: (N, T, H).

        Args:
            input_ids: (N, T), or None if ``inputs_embeds`` is given.
            token_type_ids: (N, T); None means type 0.
            inputs_embeds: word embeddings, (N, T, H), instead of ``input_ids``.

        Raises:
            ValueError: both or neither of ``input_ids`` and ``inputs_embeds`` are given.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("give exactly one of input_ids and inputs_embeds")
        if inputs_embeds is None:
            inputs_embeds = self.word_embeddings(input_ids)
        if token_type_ids is None:
            types = self.token_type_embeddings.weight[0]
        else:
            types = self.token_type_embeddings(token_type_ids)
        return self.dropout(self.LayerNorm(inputs_embeds + types))


class NezhaSelfAttention(BertSelfAttention):
    """Softmax attention that adds a_ij to the key and to the value of every pair.

    It needs the attention probabilities to weight a_ij. Fused kernels do not return them, so SDPA is
    not supported.
    """

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        *,
        relative: Tensor,
        **_: Any,  # BertLayer passes arguments for decoders
    ) -> tuple[Tensor, Tensor]:
        """Compute the attention of one layer with A heads of size D = H / A.

        Args:
            hidden_states: (N, T, H).
            attention_mask: (N, 1, 1, T), True on the keys to exclude; None excludes no key.
            relative: a_ij, (T, T, D).

        Returns:
            The context, (N, T, H), and the probabilities after dropout, (N, A, T, T).
        """
        query, key, value = (
            projection(hidden_states)
            .unflatten(-1, (self.num_attention_heads, self.attention_head_size))
            .transpose(1, 2)  # (N, A, T, D)
            for projection in (self.query, self.key, self.value)
        )
        scores = query @ key.transpose(2, 3) + torch.einsum("naid,ijd->naij", query, relative)
        scores = scores * self.scaling
        if attention_mask is not None:
            scores = scores.masked_fill(attention_mask, torch.finfo(scores.dtype).min)
        probabilities = self.dropout(scores.softmax(dim=-1))
        context = probabilities @ value + torch.einsum("naij,ijd->naid", probabilities, relative)
        return context.transpose(1, 2).flatten(2), probabilities


class NezhaModel(PreTrainedModel):
    """The NEZHA encoder: layers of BERT with :class:`NezhaSelfAttention`."""

    config_class = NezhaConfig
    base_model_prefix = "nezha"
    supports_gradient_checkpointing = True
    _input_embed_layer = "word_embeddings"
    _can_record_outputs = {  # noqa: RUF012
        "hidden_states": BertLayer,
        "attentions": NezhaSelfAttention,
    }
    # Constants that older releases saved together with the weights.
    _keys_to_ignore_on_load_unexpected = [  # noqa: RUF012
        r"embeddings\.position_ids$",
        r"relative_positions_encoding\.positions_encoding$",
    ]

    def __init__(self, config: NezhaConfig, add_pooling_layer: bool = True) -> None:
        super().__init__(config)
        self.embeddings = NezhaEmbeddings(config)
        self.encoder = BertEncoder(config)
        for index in range(config.num_hidden_layers):
            self.encoder.set_submodule(f"layer.{index}.attention.self", NezhaSelfAttention(config))
        self.pooler = BertPooler(config) if add_pooling_layer else None
        self.post_init()

    @capture_outputs
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        **_: Any,  # such as output_hidden_states, which capture_outputs reads
    ) -> BaseModelOutputWithPooling:
        """Run the encoder.

        Args:
            input_ids: (N, T), or None if ``inputs_embeds`` is given.
            attention_mask: (N, T), 1 on real tokens and 0 on padding; None if there is no padding.
            token_type_ids: (N, T); None means type 0.
            inputs_embeds: word embeddings, (N, T, H), instead of ``input_ids``.

        Returns:
            ``last_hidden_state``, (N, T, H), and ``pooler_output``, (N, H), or None without a pooler.
        """
        embedded = self.embeddings(input_ids, token_type_ids, inputs_embeds)
        # Computed once per pass for all layers and examples. It needs D / (N A) of the memory of the
        # attention scores of one layer, so a cache would save little. Summing the probabilities by
        # distance instead would need scatter_add, whose summation order on a GPU varies between runs.
        relative = relative_encoding(
            embedded.shape[1],
            self.config.hidden_size // self.config.num_attention_heads,
            max_distance=self.config.max_relative_position,
            device=embedded.device,
        )
        hidden = self.encoder(
            embedded,
            attention_mask=None if attention_mask is None else attention_mask[:, None, None] == 0,
            relative=relative.to(embedded.dtype),
        ).last_hidden_state
        return BaseModelOutputWithPooling(
            last_hidden_state=hidden,
            pooler_output=None if self.pooler is None else self.pooler(hidden),
        )


AutoConfig.register(NezhaConfig.model_type, NezhaConfig, exist_ok=True)
AutoModel.register(NezhaConfig, NezhaModel, exist_ok=True)
AutoTokenizer.register(NezhaConfig, BertTokenizer, exist_ok=True)
# Parameter names begin with "bert." in the authors' files and with "nezha." in files converted for
# transformers.
register_checkpoint_conversion_mapping(
    NezhaConfig.model_type, [PrefixChange(prefix_to_remove="bert")], overwrite=True
)

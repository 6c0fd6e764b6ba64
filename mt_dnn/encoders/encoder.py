"""A pretrained encoder in two steps, embed and encode.

SMART perturbs the word embeddings between the two steps.
"""

from __future__ import annotations

import copy
import inspect
import re
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import (
    PreTrainedConfig,
    PreTrainedModel,
)

from data_utils.errors import UserError
from mt_dnn.encoders.architecture import attention_implementation, max_positions, model_class
from mt_dnn.encoders.attention import NAME, use_own_sdpa
from mt_dnn.encoders.dropout import make_dropout_cheap
from mt_dnn.encoders.embedding_block import block_output, shifted
from mt_dnn.encoders.pretrained import quiet
from mt_dnn.encoders.sparse_attention import (
    choose_attention_type,
    first_token_is_global,
    has_global_attention,
)

_LAYER = re.compile(r"\.(\d+)\.")
_ABOVE = re.compile(r"(?<!\w)(final_\w*norm|ln_f|norm)\.")


class Encoder(nn.Module):
    """A transformers encoder that is split after its word embeddings.

    In eval mode ``encode(embed(ids), mask, types)`` is bitwise equal to the forward pass of the model
    on ``ids``. ``embed`` only looks up the word embeddings, which are the variable that SMART perturbs
    (arXiv 1911.03437, section 3.1). ``encode`` then applies positions, token types, LayerNorm and
    dropout.

    A pretrained pooler is removed from the module, because it would get no gradient. Its weights
    remain available to the heads from :meth:`pooler_weights`.

    Args:
        model: a base model (without a head) whose forward accepts ``inputs_embeds``.
        pooler_in_checkpoint: whether ``model.pooler`` has trained weights.

    Attributes:
        num_layers: L, the number of layers with their own weights. ALBERT uses one layer repeatedly,
            so there L = 1.
        has_token_types: whether the model uses ``token_type_ids``.
        source: the folder or hub name of the checkpoint; None if the weights are random.

    Example::

        encoder = load_encoder("bert-base-uncased")
        embeds = encoder.embed(input_ids)  # (N, T) -> (N, T, E)
        hidden = encoder.encode(embeds, attention_mask)  # (N, T, H)
    """

    source: str | None = None

    def __init__(self, model: PreTrainedModel, *, pooler_in_checkpoint: bool = False) -> None:
        super().__init__()
        self._pooler: dict[str, Tensor] = {}
        pooler = getattr(model, "pooler", None)
        if pooler is not None:
            if pooler_in_checkpoint:
                self._pooler = {f"pooler.{k}": v.clone() for k, v in pooler.state_dict().items()}
            model.register_module("pooler", None)
        self.model = model
        found = (_LAYER.search(name) for name, _ in model.named_parameters())
        self.num_layers = max((int(match[1]) + 1 for match in found if match), default=0)
        use_own_sdpa(model)
        make_dropout_cheap(model)
        accepted = inspect.signature(model.forward).parameters
        # RoBERTa has a single token type, so its table has no row for type 1.
        self.has_token_types = (
            "token_type_ids" in accepted and getattr(self.config, "type_vocab_size", 2) > 1
        )
        self._has_global_attention = has_global_attention(model)
        # The position table of RoBERTa, XLM-R and MPNet has a padding row, and positions count real
        # tokens, beginning with the row after it. The model derives them from input_ids; given only
        # inputs_embeds it would also number the padding, so encode() computes the positions.
        table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
        self._position_padding: int | None = getattr(table, "padding_idx", None)

    @classmethod
    def from_config(cls, config: PreTrainedConfig, *, attention: str = "sdpa") -> Encoder:
        """Build an encoder with random float32 weights from torch's global generator.

        Args:
            config: configuration of the architecture.
            attention: sdpa, eager or flash_attention_2.

        Raises:
            UserError: the attention implementation or the architecture is not supported.
        """
        config = copy.deepcopy(config)  # the encoder-only model of T5 changes it
        with quiet():
            model = model_class(config).from_config(
                config, dtype=torch.float32, attn_implementation=attention_implementation(attention)
            )
        return cls(model)

    @property
    def config(self) -> PreTrainedConfig:
        """The transformers configuration of the model."""
        return self.model.config

    @property
    def hidden_size(self) -> int:
        """H, the width of the hidden states."""
        return self.config.hidden_size

    @property
    def depth(self) -> int:
        """Number of layers that run; in ALBERT one layer runs several times."""
        return self.config.num_hidden_layers

    @property
    def positions(self) -> int | None:
        """Greatest length in tokens; None if it is not limited."""
        return max_positions(self.config, self._position_padding)

    @property
    def attention(self) -> str:
        """The attention implementation in use; eager if sdpa is not supported."""
        name = self.config._attn_implementation
        return "sdpa" if name == NAME else name

    def embed(self, input_ids: Tensor) -> Tensor:
        """Look up word embeddings: (N, T) -> (N, T, E); E != H in ELECTRA and ALBERT."""
        return self.model.get_input_embeddings()(input_ids)

    def encode(
        self,
        embeds: Tensor,
        attention_mask: Tensor | None,
        token_type_ids: Tensor | None = None,
        *,
        shift: Tensor | None = None,
    ) -> Tensor:
        """Run the encoder on word embeddings.

        Args:
            embeds: (N, T, E).
            attention_mask: (N, T), 1 on real tokens and 0 exactly on padding tokens. None if there
                is no padding; the result is the same, and SDPA is faster.
            token_type_ids: (N, T); ignored if the architecture has no token types.
            shift: (N, T, H), added to the output of the embedding block, after its dropout; see
                :mod:`mt_dnn.encoders.embedding_block`. A shift of 0 changes nothing.

        Returns:
            The last hidden states, (N, T, H). In Longformer the first token attends to all tokens, and
            all tokens to it, as for classification in arXiv 2004.05150, section 3.1.

        Raises:
            UserError: ``shift`` is given, and the architecture has no known embedding block.
        """
        inputs = self._inputs(embeds, attention_mask, token_type_ids)
        with nullcontext() if shift is None else shifted(self.model, shift):
            return self.model(**inputs).last_hidden_state

    def hidden_states(
        self,
        embeds: Tensor,
        attention_mask: Tensor | None,
        token_type_ids: Tensor | None = None,
        *,
        shift: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """Run the encoder on word embeddings and return the output of every layer.

        The arguments are those of :meth:`encode`.

        Returns:
            ``depth + 1`` tensors (N, T, H), as ``hidden_states`` of transformers: the input of the first
            layer, then the output of each layer. The last one is what :meth:`encode` returns.
        """
        inputs = self._inputs(embeds, attention_mask, token_type_ids)
        with nullcontext() if shift is None else shifted(self.model, shift):
            states = self.model(**inputs, output_hidden_states=True).hidden_states
        # BigBird pads to whole blocks, and removes the padding from the last hidden states only.
        return tuple(layer[:, : embeds.shape[1]] for layer in states)

    def embedding_output(
        self,
        embeds: Tensor,
        attention_mask: Tensor | None,
        token_type_ids: Tensor | None = None,
    ) -> Tensor:
        """Compute what enters the first layer: (N, T, E) -> (N, T, H).

        It is the output of the embedding block, after LayerNorm, dropout and, where the architecture
        has one, the projection to H. The layers do not run. The arguments are those of :meth:`encode`.

        Raises:
            UserError: the architecture has no known embedding block.
        """
        return block_output(self.model, self._inputs(embeds, attention_mask, token_type_ids))

    def _inputs(
        self, embeds: Tensor, attention_mask: Tensor | None, token_type_ids: Tensor | None
    ) -> dict[str, Tensor]:
        """Return the arguments of the model, after choosing its attention for their length."""
        choose_attention_type(self.model, embeds.shape[1])
        inputs: dict[str, Tensor] = {"inputs_embeds": embeds}
        if attention_mask is not None:
            inputs["attention_mask"] = attention_mask
        if self.has_token_types and token_type_ids is not None:
            inputs["token_type_ids"] = token_type_ids
        if self._has_global_attention:
            inputs["global_attention_mask"] = first_token_is_global(embeds)  # (N, T)
        if self._position_padding is not None:
            if attention_mask is None:
                attention_mask = torch.ones(embeds.shape[:2], device=embeds.device)
            mask = attention_mask.long()
            inputs["position_ids"] = mask.cumsum(dim=1) * mask + self._position_padding  # (N, T)
        return inputs

    def layer_of(self, parameter_name: str) -> int:
        """Return the depth of a parameter: 0 embeddings, 1..L layers, L + 1 above.

        Tables that all layers share, such as relative positions, count as embeddings.

        Args:
            parameter_name: name from ``named_parameters()``, with or without a prefix.
        """
        if match := _LAYER.search(parameter_name):
            return int(match[1]) + 1
        if "embed" not in parameter_name and _ABOVE.search(parameter_name):
            return self.num_layers + 1
        return 0

    def pooler_weights(self) -> tuple[Tensor, Tensor] | None:
        """Weight (H, H) and bias (H,) of the pretrained pooler; None if there is none."""
        if not self._pooler:
            return None
        by_kind = {name.rpartition(".")[2]: tensor for name, tensor in self._pooler.items()}
        return by_kind["weight"], by_kind["bias"]

    def enable_gradient_checkpointing(self) -> None:
        """Recompute the activations of each layer in the backward pass, to save memory.

        The gradients stay the same.

        Raises:
            UserError: the architecture does not support gradient checkpointing.
        """
        if not self.model.supports_gradient_checkpointing:
            raise UserError(
                f"{type(self.model).__name__} does not support gradient checkpointing. "
                "Set model.gradient_checkpointing to false."
            )
        with warnings.catch_warnings():
            # Newer releases deprecate this method for one that older releases do not have.
            warnings.simplefilter("ignore", FutureWarning)
            self.model.gradient_checkpointing_enable(
                gradient_checkpointing_kwargs={"use_reentrant": False}
            )
        # The call above makes the inputs require gradients, which only re-entrant checkpointing
        # needs. Frozen embeddings would then require gradients too.
        self.model.disable_input_require_grads()

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compile the model in place with torch.compile; parameter names do not change."""
        # Terms of SMART go backward through one graph several times, which donated buffers forbid.
        torch._functorch.config.donated_buffer = False
        self.model.compile(*args, **kwargs)

    def weights(self) -> dict[str, Tensor]:
        """The weights by their names in transformers, those of an adapter merged into them."""
        return dict(self.model.state_dict())

    def save_pretrained(self, folder: str | Path) -> None:
        """Write config.json and model.safetensors in the layout that AutoModel reads.

        The pretrained pooler, which training does not change, is written too.
        """
        with quiet():
            self.model.save_pretrained(folder, state_dict={**self.weights(), **self._pooler})

    def load_weights(self, folder: str | Path) -> None:
        """Load the weights that :meth:`save_pretrained` of this encoder wrote, in place.

        A subclass that saves something else than whole weights, such as adapters, overrides both.

        Raises:
            UserError: a weight is missing or has another shape.
        """
        state: dict[str, Tensor] = {}
        for file in sorted(Path(folder).glob("model*.safetensors")):
            state |= load_file(file)
        own = self.model.state_dict()
        loaded = {own[name].data_ptr() for name in state.keys() & own.keys()}
        # Of tied weights, only one is saved.
        missing = [
            name for name, w in own.items() if name not in state and w.data_ptr() not in loaded
        ]
        if missing:
            raise UserError(
                f"{folder} lacks {len(missing)} weights of the encoder: {missing[0]}, ..."
            )
        try:
            self.model.load_state_dict(state, strict=False)
        except RuntimeError as error:
            raise UserError(f"{folder} does not fit the encoder: {error}") from None

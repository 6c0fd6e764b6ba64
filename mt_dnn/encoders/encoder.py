"""Any pretrained encoder behind two calls, embed and encode, so that noise can enter between them."""

from __future__ import annotations

import copy
import inspect
import re
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForTextEncoding,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_TEXT_ENCODING_MAPPING
from transformers.utils import is_flash_attn_2_available

from data_utils.errors import UserError
from data_utils.registry import choices_hint
from mt_dnn.encoders.attention import NAME, decide_mask_on_host
from mt_dnn.encoders.pretrained import load_errors, quiet, resolve_encoder

ATTENTION = ("sdpa", "eager", "flash_attention_2")

_LAYER = re.compile(r"\.(\d+)\.")
_ABOVE = re.compile(r"(?<!\w)(final_\w*norm|ln_f|norm)\.")


class Encoder(nn.Module):
    """A transformers encoder, split after its word embeddings.

    In eval mode ``encode(embed(ids), mask, types)`` equals the model's own forward on ``ids`` to
    the last bit. ``embed`` gives the rows of the word embedding table and nothing more: positions,
    token types, LayerNorm and dropout are applied once, inside ``encode``. That is SMART's
    perturbed variable (arXiv 1911.03437, section 3.1).

    A pretrained pooler is taken out of the module, so that nothing here is without a gradient;
    :meth:`pooler_weights` keeps it for the heads.

    Args:
        model: a base model (no head) whose forward takes ``inputs_embeds``.
        pooler_in_checkpoint: whether ``model.pooler`` holds trained weights.

    Attributes:
        num_layers: L, the layers with weights of their own (ALBERT repeats one: there L = 1).
        has_token_types: whether ``token_type_ids`` make a difference.
        source: the folder or hub name that it was loaded from; None where its weights were drawn.
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
        decide_mask_on_host(model)
        accepted = inspect.signature(model.forward).parameters
        # RoBERTa's one token type carries nothing, and its table has no second row.
        self.has_token_types = (
            "token_type_ids" in accepted and getattr(self.config, "type_vocab_size", 2) > 1
        )
        # Where the position table has a padding row (RoBERTa, XLM-R, MPNet), positions count real
        # tokens from the row after it; the model derives that from input_ids, which it never sees
        # here, and would otherwise number padding too.
        table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
        self._position_padding: int | None = getattr(table, "padding_idx", None)

    @classmethod
    def from_config(cls, config: PreTrainedConfig, *, attention: str = "sdpa") -> Encoder:
        """Random weights from torch's global generator, float32."""
        config = copy.deepcopy(config)  # T5's encoder-only model writes into it
        with quiet():
            model = _model_class(config).from_config(
                config, dtype=torch.float32, attn_implementation=_implementation(attention)
            )
        return cls(model)

    @property
    def config(self) -> PreTrainedConfig:
        return self.model.config

    @property
    def hidden_size(self) -> int:
        """H of :meth:`encode`."""
        return self.config.hidden_size

    @property
    def attention(self) -> str:
        """The attention implementation in use; eager where the one asked for is not supported."""
        name = self.config._attn_implementation
        return "sdpa" if name == NAME else name

    def embed(self, input_ids: Tensor) -> Tensor:
        """Word embeddings alone: (N, T) -> (N, T, E). E is not H in ELECTRA and ALBERT."""
        return self.model.get_input_embeddings()(input_ids)

    def encode(
        self, embeds: Tensor, attention_mask: Tensor | None, token_type_ids: Tensor | None = None
    ) -> Tensor:
        """Everything after the word embeddings.

        Args:
            embeds: (N, T, E).
            attention_mask: (N, T), 1 on real tokens, 0 exactly on padding tokens; None where
                nothing is padded, which is faster on SDPA and gives the same.
            token_type_ids: (N, T); not used where the architecture has no token types.

        Returns:
            The last hidden states, (N, T, H).
        """
        inputs: dict[str, Tensor] = {"inputs_embeds": embeds}
        if attention_mask is not None:
            inputs["attention_mask"] = attention_mask
        if self.has_token_types and token_type_ids is not None:
            inputs["token_type_ids"] = token_type_ids
        if self._position_padding is not None:
            if attention_mask is None:
                attention_mask = torch.ones(embeds.shape[:2], device=embeds.device)
            mask = attention_mask.long()
            inputs["position_ids"] = mask.cumsum(dim=1) * mask + self._position_padding  # (N, T)
        return self.model(**inputs).last_hidden_state

    def layer_of(self, parameter_name: str) -> int:
        """Depth of a parameter: 0 embeddings, 1..L layers, L + 1 above them.

        Tables that every layer shares, such as relative positions, count as embeddings.

        Args:
            parameter_name: as in ``named_parameters()``, with or without a prefix.
        """
        if match := _LAYER.search(parameter_name):
            return int(match[1]) + 1
        if "embed" not in parameter_name and _ABOVE.search(parameter_name):
            return self.num_layers + 1
        return 0

    def pooler_weights(self) -> tuple[Tensor, Tensor] | None:
        """Weight (H, H) and bias (H,) of the checkpoint's pooler layer, None where it has none."""
        if not self._pooler:
            return None
        by_kind = {name.rpartition(".")[2]: tensor for name, tensor in self._pooler.items()}
        return by_kind["weight"], by_kind["bias"]

    def enable_gradient_checkpointing(self) -> None:
        """Recompute each layer's activations in the backward pass; the gradients stay the same.

        Raises:
            UserError: the architecture has no such switch.
        """
        if not self.model.supports_gradient_checkpointing:
            raise UserError(
                f"{type(self.model).__name__} does not support gradient checkpointing; switch it off"
            )
        with warnings.catch_warnings():
            # Newer releases have another name for it, which older ones lack, and say so.
            warnings.simplefilter("ignore", FutureWarning)
            self.model.gradient_checkpointing_enable(
                gradient_checkpointing_kwargs={"use_reentrant": False}
            )
        # Set by the call above for re-entrant checkpointing: it would make frozen embeddings
        # require gradients.
        self.model.disable_input_require_grads()

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """torch.compile :meth:`encode`'s inner model in place; parameter names do not change."""
        self.model.compile(*args, **kwargs)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write config.json and model.safetensors in the layout that AutoModel reads.

        The checkpoint's pooler, which training does not touch, is written back with it.
        """
        state = dict(self.model.state_dict())
        with quiet():
            self.model.save_pretrained(folder, state_dict={**state, **self._pooler})


def load_encoder(
    name: str, *, attention: str = "sdpa", gradient_checkpointing: bool = False
) -> Encoder:
    """A pretrained encoder in float32 and eval mode, every weight read from the checkpoint.

    Args:
        name: hub name, local folder, or ``package:NAME``; see
            :func:`mt_dnn.encoders.pretrained.resolve_encoder`.
        attention: sdpa (eager where the architecture lacks it), eager or flash_attention_2.
        gradient_checkpointing: see :meth:`Encoder.enable_gradient_checkpointing`.

    Raises:
        UserError: the name leads nowhere, the hub does not answer, the checkpoint lacks weights
            (the pooler's aside) or has others, or the attention implementation is not available.
    """
    source = resolve_encoder(name)
    implementation = _implementation(attention)
    with quiet(), load_errors(name, "encoder"):
        config = AutoConfig.from_pretrained(source)
        model, info = _model_class(config).from_pretrained(
            source,
            config=config,
            dtype=torch.float32,  # else the checkpoint's, such as bfloat16
            attn_implementation=implementation,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # told below, by name
        )
    absent = set(info["missing_keys"]) | {key for key, *_ in info["mismatched_keys"]}
    poolers = {key for key in absent if key.startswith("pooler.")}
    if random := sorted(absent - poolers):
        raise UserError(
            f"encoder {name!r}: the checkpoint lacks {len(random)} weights of its "
            f"{config.model_type} (or has them in another shape), which would stay random: "
            f"{', '.join(random[:5])}{', ...' if len(random) > 5 else ''}. "
            "Use a checkpoint of the whole encoder."
        )
    encoder = Encoder(model, pooler_in_checkpoint=not poolers)
    encoder.source = str(source)
    if gradient_checkpointing:
        encoder.enable_gradient_checkpointing()
    return encoder


def _model_class(config: PreTrainedConfig) -> type[AutoModel] | type[AutoModelForTextEncoding]:
    """The auto class that builds the encoder alone, without a decoder beside it."""
    if type(config) in MODEL_FOR_TEXT_ENCODING_MAPPING:
        return AutoModelForTextEncoding
    if config.is_encoder_decoder:
        raise UserError(
            f"{config.model_type} has a decoder that transformers cannot leave out. "
            "Choices: an encoder such as BERT, or an encoder-decoder of the T5 family."
        )
    return AutoModel


def _implementation(attention: str) -> str | None:
    """transformers' argument; None is its own choice: sdpa, or eager where that is missing."""
    if attention not in ATTENTION:
        raise UserError(f"unknown attention {attention!r}.{choices_hint(attention, ATTENTION)}")
    if attention == "flash_attention_2" and not is_flash_attn_2_available():
        raise UserError(
            "attention 'flash_attention_2' needs a GPU and the flash-attn package. "
            "Choices here: eager, sdpa."
        )
    return None if attention == "sdpa" else attention

"""Load a pretrained encoder, or read how many positions it has."""

from __future__ import annotations

import torch
from transformers import AutoConfig

from data_utils.errors import UserError
from mt_dnn.encoders.architecture import (
    attention_implementation,
    keep_layers,
    max_positions,
    model_class,
    set_dropout,
)
from mt_dnn.encoders.encoder import Encoder
from mt_dnn.encoders.pretrained import check_finite, load_errors, quiet, resolve_encoder


def load_encoder(
    name: str,
    *,
    attention: str = "sdpa",
    gradient_checkpointing: bool = False,
    dropout: float | None = None,
    num_layers: int | None = None,
) -> Encoder:
    """Load a pretrained encoder in float32 and eval mode.

    Args:
        name: hub name, local folder, or ``package:NAME``; see
            :func:`mt_dnn.encoders.pretrained.resolve_encoder`.
        attention: sdpa, eager or flash_attention_2. sdpa falls back to eager for architectures that
            do not support it.
        gradient_checkpointing: see :meth:`Encoder.enable_gradient_checkpointing`.
        dropout: rate of all dropouts inside the encoder; None keeps those of its configuration.
        num_layers: number of layers to keep, from the first; None keeps all.

    Returns:
        The encoder, with every weight from the checkpoint.

    Raises:
        UserError: nothing is found under the name, the hub does not answer, weights are missing in
            the checkpoint or have another shape (except those of a pooler), or the attention
            implementation is not available, or the encoder has no dropout or fewer layers.

    Example::

        encoder = load_encoder("bert-base-uncased")
    """
    source = resolve_encoder(name)
    implementation = attention_implementation(attention)
    with quiet(), load_errors(name, "encoder"):
        config = AutoConfig.from_pretrained(source)
        if dropout is not None:
            set_dropout(config, dropout)
        if num_layers is not None:
            keep_layers(config, num_layers)
        model, info = model_class(config).from_pretrained(
            source,
            config=config,
            dtype=torch.float32,  # the default is the dtype of the checkpoint, such as bfloat16
            attn_implementation=implementation,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # the error below lists them
        )
    absent = set(info["missing_keys"]) | {key for key, *_ in info["mismatched_keys"]}
    poolers = {key for key in absent if key.startswith("pooler.")}
    if missing := sorted(absent - poolers):
        raise UserError(
            f"encoder {name!r}: the checkpoint lacks {len(missing)} weights of its "
            f"{config.model_type} encoder or has them in another shape, so they would stay random: "
            f"{', '.join(missing[:5])}{', ...' if len(missing) > 5 else ''}. "
            "Use a checkpoint that contains the whole encoder."
        )
    check_finite(dict(model.state_dict()), f"encoder {name!r}")
    encoder = Encoder(model, pooler_in_checkpoint=not poolers)
    encoder.source = str(source)
    if gradient_checkpointing:
        encoder.enable_gradient_checkpointing()
    return encoder


def encoder_positions(name: str) -> int | None:
    """Return :attr:`Encoder.positions` of a pretrained encoder without reading its weights.

    Args:
        name: hub name, local folder, or ``package:NAME``.

    Raises:
        UserError: there is no encoder of this name.
    """
    with quiet(), load_errors(name, "encoder"):
        config = AutoConfig.from_pretrained(resolve_encoder(name))
        if max_positions(config, None) is None:
            return None
        keep_layers(config, 1)
        with torch.device("meta"):  # tensors without data
            return Encoder(model_class(config).from_config(config)).positions

"""Settings of an encoder's architecture: its dropout, number of layers and positions."""

from __future__ import annotations

from transformers import PreTrainedConfig

from data_utils.errors import UserError

DROPOUTS = (
    *("hidden_dropout_prob", "attention_probs_dropout_prob"),  # BERT and its relatives
    *("dropout", "attention_dropout", "activation_dropout"),  # DistilBERT, XLNet, BART
    *("embedding_dropout", "mlp_dropout"),  # ModernBERT
    *("dropout_rate", "embd_pdrop", "attn_pdrop", "resid_pdrop"),  # T5, GPT-2
)
"""Names of the dropout rates inside an encoder; an architecture has some of them."""


def set_dropout(config: PreTrainedConfig, rate: float) -> None:
    """Set all dropout rates inside the encoder, those of hidden states and of attention weights.

    Raises:
        UserError: the architecture has none.
    """
    own = [name for name in DROPOUTS if isinstance(getattr(config, name, None), (int, float))]
    if not own:
        raise UserError(
            f"model.encoder_dropout: {config.model_type} has no dropout; leave the setting null"
        )
    for name in own:
        setattr(config, name, rate)


def keep_layers(config: PreTrainedConfig, count: int) -> None:
    """Reduce the number of layers to the first ``count``.

    Raises:
        UserError: the encoder has fewer layers, or its layers are not numbered.
    """
    layers = getattr(config, "num_hidden_layers", None)
    if not isinstance(layers, int) or count > layers:
        has = f"has {layers} layers" if isinstance(layers, int) else "has no numbered layers"
        raise UserError(f"model.num_layers: {count}; {config.model_type} {has}")
    config.num_hidden_layers = count
    if isinstance(kinds := getattr(config, "layer_types", None), list):
        config.layer_types = kinds[:count]


def max_positions(config: PreTrainedConfig, padding_row: int | None) -> int | None:
    """Return the greatest length in tokens; None if positions are not limited.

    Args:
        padding_row: row of the position table that is for padding; None if there is none. RoBERTa,
            XLM-R and MPNet begin to count after it, so that 514 rows are 512 positions.
    """
    rows = getattr(config, "max_position_embeddings", None)
    if not isinstance(rows, int) or rows <= 0:
        return None
    return rows if padding_row is None else rows - padding_row - 1

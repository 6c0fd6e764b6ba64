"""The architecture of an encoder: its auto class, attention, dropout, layers and positions."""

from __future__ import annotations

from collections.abc import Mapping

from transformers import AutoModel, AutoModelForTextEncoding, PreTrainedConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_TEXT_ENCODING_MAPPING
from transformers.utils import is_flash_attn_2_available

from data_utils.errors import UserError
from data_utils.registry import choices_hint
from data_utils.task_def import TaskDef

ATTENTION = ("sdpa", "eager", "flash_attention_2")

DROPOUTS = (
    *("hidden_dropout_prob", "attention_probs_dropout_prob"),  # BERT and its relatives
    *("dropout", "attention_dropout", "activation_dropout"),  # DistilBERT, XLNet, BART
    *("embedding_dropout", "mlp_dropout"),  # ModernBERT
    *("dropout_rate", "embd_pdrop", "attn_pdrop", "resid_pdrop"),  # T5, GPT-2
)
"""Names of the dropout rates inside an encoder; an architecture has some of them."""

PER_LAYER = ("layer_types", "attention_window")
"""Names of settings that are a list with one entry per layer; the second one is Longformer's."""


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
    for name in PER_LAYER:
        if isinstance(kinds := getattr(config, name, None), list):
            setattr(config, name, kinds[:count])


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


def model_class(config: PreTrainedConfig) -> type[AutoModel] | type[AutoModelForTextEncoding]:
    """Return the auto class that builds the encoder without a decoder."""
    if type(config) in MODEL_FOR_TEXT_ENCODING_MAPPING:
        return AutoModelForTextEncoding
    if config.is_encoder_decoder:
        raise UserError(
            f"{config.model_type} has a decoder that transformers cannot separate from its encoder. "
            "Choices: an encoder such as BERT, or an encoder-decoder of the T5 family."
        )
    return AutoModel


def attention_implementation(attention: str) -> str | None:
    """Return transformers' argument; None selects sdpa, or eager if sdpa is missing."""
    if attention not in ATTENTION:
        raise UserError(f"unknown attention {attention!r}.{choices_hint(attention, ATTENTION)}")
    if attention == "flash_attention_2" and not is_flash_attn_2_available():
        raise UserError(
            "model.attention: flash_attention_2 needs a GPU and the flash-attn package. "
            "Choices here: eager, sdpa."
        )
    return None if attention == "sdpa" else attention


def check_lengths(
    tasks: Mapping[str, TaskDef],
    max_seq_len: int,
    positions: int | None,
    encoder: str,
    *,
    setting: str = "data.max_seq_len",
) -> None:
    """Check that an encoder has a position for every token of the longest sequences.

    Args:
        tasks: the tasks; each may set its own ``max_seq_len``.
        max_seq_len: greatest length of the run, for tasks that do not.
        positions: those of the encoder; None if they are not limited.
        encoder: its name, for the message.
        setting: the setting of ``max_seq_len``, for the message.

    Raises:
        UserError: it has fewer positions than a task needs.
    """
    for task in tasks.values():
        length = task.max_seq_len or max_seq_len
        if positions is not None and length > positions:
            where = f"{task.where}: max_seq_len" if task.max_seq_len else setting
            raise UserError(
                f"{where}: {length} exceeds the {positions} positions of {encoder}; use at most "
                f"{positions}"
            )

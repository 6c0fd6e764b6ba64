"""What an encoder is: its size, its positions, and what it was trained for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoConfig
from transformers.utils import cached_file

from mt_dnn.encoders.architecture import model_class
from mt_dnn.encoders.load import encoder_positions
from mt_dnn.encoders.pretrained import load_errors, quiet, resolve_encoder


@dataclass(frozen=True)
class EncoderFacts:
    """What the rules need to know of an encoder."""

    name: str
    parameters: int
    positions: int | None
    """Greatest length in tokens; None if it is not limited."""
    is_sentence_encoder: bool
    """Whether it was trained so that means of its hidden states are comparable."""


def read_encoder(name: str) -> EncoderFacts:
    """Read the configuration of an encoder; its weights are not read.

    An encoder with ``modules.json``, the file of sentence-transformers, is a sentence encoder.

    Raises:
        UserError: there is no encoder of this name.
    """
    source = resolve_encoder(name)
    with quiet(), load_errors(name, "encoder"):
        config = AutoConfig.from_pretrained(source)
        with torch.device("meta"):  # tensors without data
            model = model_class(config).from_config(config)
    return EncoderFacts(
        name,
        sum(parameter.numel() for parameter in model.parameters()),
        encoder_positions(name),
        _has_modules(source),
    )


def _has_modules(source: str | Path) -> bool:
    """Whether the files of an encoder include modules.json."""
    if Path(source).is_dir():
        return (Path(source) / "modules.json").is_file()
    with quiet():
        found = cached_file(
            str(source), "modules.json", _raise_exceptions_for_missing_entries=False
        )
    return found is not None

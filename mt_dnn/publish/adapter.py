"""Export the adapter of a run alone, for PEFT: ``mt-dnn export --adapter apart``."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import torch

from data_utils.errors import UserError
from mt_dnn.encoders.adapters import FOLDER, peft
from mt_dnn.encoders.load import load_encoder
from mt_dnn.encoders.pretrained import quiet
from mt_dnn.model import MTDNN
from mt_dnn.publish.auto_model import probe
from mt_dnn.runs.adapter_base import name_base
from mt_dnn.runs.model_folder import read_model_facts

TOLERANCE = 1e-4
"""Allowed difference between merged and unmerged hidden states, relative to the largest one."""


@torch.inference_mode()
def write_adapter(folder: Path, source: Path, model: MTDNN) -> str:
    """Copy the adapter of a saved model, and check that it computes what the model does.

    Args:
        folder: where its two files go.
        source: the model folder of the run.
        model: the model of that folder, merged.

    Returns:
        Name of the encoder that the adapter belongs to: a hub name, a folder or ``package:NAME``.

    Raises:
        UserError: the model has no adapter, its encoder cannot be loaded, or has changed since.
    """
    if not (source / FOLDER).is_dir():
        raise UserError(
            f"{source} has no adapter to export apart: it was trained without model.adapter, or is an "
            f"average. Leave out --adapter apart"
        )
    shutil.copytree(source / FOLDER, folder, dirs_exist_ok=True)
    # Older versions wrote a package's folder.
    name_base(folder, read_model_facts(source)[0].encoder)
    settings = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    base = str(settings["base_model_name_or_path"])
    plain = load_encoder(base)
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PEFT reads a deprecated attribute
        plain.model = peft("--adapter apart").PeftModel.from_pretrained(plain.model, str(folder))
    plain.eval()
    batch = probe(plain, next(iter(model.tasks)))
    expected = model.layer(model.embed(batch), batch, -1)
    found = plain.encode(plain.embed(batch.input_ids), batch.attention_mask, batch.token_type_ids)
    error, scale = (found - expected).abs().max(), expected.abs().max()
    if not error <= TOLERANCE * scale:  # written so that NaN fails
        raise UserError(
            f"the adapter of {source} gives other hidden states on {base} than the run, by up to {error:.3g} "
            f"where the largest is {scale:.3g}: the encoder has changed since. Nothing is written; export "
            f"it merged"
        )
    return base

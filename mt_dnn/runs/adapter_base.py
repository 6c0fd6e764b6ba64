"""The encoder that a saved adapter belongs to, by a name that other machines know."""

from __future__ import annotations

import json
from pathlib import Path

from data_utils.files import write_text
from mt_dnn.encoders.pretrained import PACKAGE, resolve_encoder


def name_base(adapter: Path, encoder: str) -> None:
    """Let an adapter name the package of its encoder, in place of the folder that the package has here.

    Args:
        adapter: folder of the adapter; nothing happens if there is none.
        encoder: ``model.encoder`` of the run.
    """
    path = adapter / "adapter_config.json"
    if not encoder.startswith(PACKAGE) or not path.exists():
        return
    settings = json.loads(path.read_text(encoding="utf-8"))
    # A run that started from another run names that run's folder.
    if settings.get("base_model_name_or_path") == str(resolve_encoder(encoder)):
        settings["base_model_name_or_path"] = encoder
        write_text(path, json.dumps(settings, indent=2, sort_keys=True))

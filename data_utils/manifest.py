"""The manifest of a store: how it was made and what it holds, beside its Arrow file."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from data_utils.errors import UserError
from data_utils.formats import FORMATS
from data_utils.labels import LabelKind
from data_utils.task_def import TaskDef

VERSION = 3
LABEL_FORMS = {LabelKind.SET: "set", LabelKind.TEXT: "text"}
"""Of a store, by the kind of label; all others are ``single``. Written to disk: stores depend on it."""


@dataclass(frozen=True)
class Manifest:
    """How a store was made and what it holds."""

    # What must agree for a store to be used.
    version: int
    task: str
    split: str
    data_format: str
    labels: list[str]
    n_class: int
    label_form: str
    """How a row's cell is read: ``single`` (one value, or one per unit), ``set`` or ``text``."""
    options: dict[str, Any]
    """Of the data format."""
    max_seq_len: int
    tokenizer_hash: str
    source_hash: str
    # Informational; not compared.
    tokenizer: str
    source: str
    pad_token_id: int
    rows: int = 0
    """As read."""
    examples: int = 0
    """Kept of them."""
    sequences: int = 0
    """Stored: as many as examples, unless long texts were cut into windows."""
    truncated: int = 0
    tokens: int = 0
    longest: int = 0
    labelled: bool = True
    dropped: dict[str, int] = dataclasses.field(default_factory=dict)
    """Reason -> rows read but not stored."""
    soft_labels: str = ""
    """Hash of the file of a teacher's logits that is joined to the rows; it must agree too."""
    soft_labels_unused: int = 0
    """Logits in it that are of no example."""


IDENTITY = (
    *("version", "task", "split", "data_format", "labels", "n_class", "label_form", "options"),
    *("max_seq_len", "tokenizer_hash", "source_hash", "soft_labels"),
)


def tokenizer_hash(tokenizer: PreTrainedTokenizerBase) -> str:
    """Hash of what turns text into ids; not of the padding state, which calls change."""
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    state.pop("truncation", None)
    state.pop("padding", None)
    text = json.dumps([state, tokenizer.model_input_names], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def expected_manifest(
    task: TaskDef,
    split: str,
    *,
    source: str,
    source_hash: str,
    tokenizer: PreTrainedTokenizerBase,
    max_seq_len: int,
    soft_labels: str = "",
) -> Manifest:
    """The manifest of a new store, before its rows are counted."""
    own = FORMATS.get(task.data_format).options
    return Manifest(
        version=VERSION,
        task=task.name,
        split=split,
        data_format=task.data_format,
        labels=list(task.labels),
        n_class=task.n_class,
        label_form=LABEL_FORMS.get(task.label.kind, "single"),
        options={name: task.options.get(name, default) for name, default in own.items()},
        max_seq_len=task.max_seq_len or max_seq_len,
        tokenizer_hash=tokenizer_hash(tokenizer),
        source_hash=source_hash,
        tokenizer=str(tokenizer.name_or_path),
        source=source,
        pad_token_id=int(tokenizer.pad_token_id or 0),
        soft_labels=soft_labels,
    )


def describe(manifest: Manifest) -> str:
    """One line: rows read, examples kept, truncated and dropped, soft labels."""
    windows = ""
    if manifest.sequences != manifest.examples:
        windows = f"in {manifest.sequences} windows, "
    line = (
        f"{manifest.task}_{manifest.split}: {manifest.examples} examples of {manifest.rows} rows, "
        f"{windows}{manifest.tokens / max(manifest.sequences, 1):.1f} tokens on average, longest {manifest.longest}, "
        f"{manifest.truncated} truncated at {manifest.max_seq_len}"
    )
    dropped = ", ".join(f"{count} {reason}" for reason, count in manifest.dropped.items())
    if dropped:
        line += f", dropped: {dropped}"
    if manifest.soft_labels:
        line += f", with soft labels ({manifest.soft_labels_unused} more in their file)"
    return line


def differences(found: Manifest, wanted: Manifest) -> list[str]:
    """One line for each field in which a store does not fit the run."""
    return [
        f"{key}: the store has {_short(getattr(found, key))}, "
        f"this run has {_short(getattr(wanted, key))}"
        for key in IDENTITY
        if getattr(found, key) != getattr(wanted, key)
    ]


def _short(value: Any) -> str:
    text = str(value)
    return text[:12] + "…" if len(text) == 64 else text


def read_manifest(folder: Path) -> Manifest:
    """Raises UserError where the file is missing or is not a manifest."""
    try:
        return Manifest(**json.loads((folder / "manifest.json").read_text(encoding="utf-8")))
    except (OSError, TypeError, ValueError) as error:
        raise UserError(
            f"{folder}/manifest.json cannot be read ({error}); delete {folder}"
        ) from None

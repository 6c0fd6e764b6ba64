"""The manifest of a store: its inputs, settings and counts, in ``manifest.json``."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_origin, get_type_hints
from weakref import WeakKeyDictionary

from transformers import PreTrainedTokenizerBase

from data_utils import strict_json
from data_utils.errors import UserError
from data_utils.formats.rows import label_options
from data_utils.labels import LabelKind
from data_utils.registries import FORMATS
from data_utils.task_def import TaskDef

VERSION = 3
LABEL_FORMS = {LabelKind.SET: "set", LabelKind.TEXT: "text"}
"""Kind of label -> ``label_form`` of the store; ``single`` for all others. Written to disk, so a change
of these words makes existing stores stale."""


@dataclass(frozen=True)
class Manifest:
    """The inputs and settings that a store was made from, and counts of its content."""

    # Identity: a run can use a store only if these fields agree.
    version: int
    task: str
    split: str
    data_format: str
    labels: list[str]
    n_class: int
    label_form: str
    """How the label cell is parsed: ``single`` (one value, or one per unit), ``set`` or ``text``."""
    options: dict[str, Any]
    """Options of the data format, and the task's windows."""
    max_seq_len: int
    tokenizer_hash: str
    source_hash: str
    # Informational; not compared.
    tokenizer: str
    source: str
    pad_token_id: int
    rows: int = 0
    """Rows read from the source."""
    examples: int = 0
    """Rows kept."""
    sequences: int = 0
    """Entries stored: more than ``examples`` if long texts were split into windows."""
    most_windows: int = 0
    """Greatest number of windows of an example, if the task has ``windows``; else 0."""
    truncated: int = 0
    """Examples that were truncated."""
    tokens: int = 0
    """Sum of the lengths of all entries."""
    longest: int = 0
    """Length of the longest entry, in tokens."""
    labelled: bool = True
    dropped: dict[str, int] = dataclasses.field(default_factory=dict)
    """Reason -> number of rows dropped for it."""
    report: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Labels and problems of the rows, as :mod:`data_utils.data_report` counts them."""
    soft_labels: str = ""
    """SHA-256 of the file of soft labels, empty without one. Part of the identity."""
    soft_labels_unused: int = 0
    """Lines of that file whose uid is not in the store."""
    data_hash: str = ""
    """SHA-256 of data.arrow; empty in stores of older versions."""


IDENTITY = (
    *("version", "task", "split", "data_format", "labels", "n_class", "label_form", "options"),
    *("max_seq_len", "tokenizer_hash", "source_hash", "soft_labels"),
)


def tokenizer_hash(tokenizer: PreTrainedTokenizerBase) -> str:
    """Hash the part of a tokenizer that maps text to ids.

    Padding and truncation settings are excluded, because calls of the tokenizer change them. The hash is kept
    for as long as the tokenizer, which has the same vocabulary for every store of a run.
    """
    known = _HASHES.get(tokenizer)
    if known is None or known[0] != len(tokenizer):
        known = _HASHES[tokenizer] = len(tokenizer), _hash_tokenizer(tokenizer)
    return known[1]


_HASHES: WeakKeyDictionary[PreTrainedTokenizerBase, tuple[int, str]] = WeakKeyDictionary()
"""Tokenizer -> its number of tokens when it was hashed, and the hash."""


def _hash_tokenizer(tokenizer: PreTrainedTokenizerBase) -> str:
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    state.pop("truncation", None)
    state.pop("padding", None)
    text = json.dumps([state, tokenizer.model_input_names], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def tokenizing_options(task: TaskDef) -> dict[str, Any]:
    """Options that change the store of a task.

    They are those of its format, the length of text labels, and ``windows`` if the task has them: without
    ``merge``, which changes no store.
    """
    own = FORMATS.get(task.data_format).options | label_options(task)
    options = {name: task.options.get(name, default) for name, default in own.items()}
    if task.windows is not None:
        cut = {"stride": task.windows.stride, "max_windows": task.windows.max_windows}
        options["windows"] = cut
    return options


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
    """Return the manifest of a new store, with all counts still 0."""
    own = tokenizing_options(task)
    return Manifest(
        version=VERSION,
        task=task.name,
        split=split,
        data_format=task.data_format,
        labels=list(task.labels),
        n_class=task.n_class,
        label_form=LABEL_FORMS.get(task.label.kind, "single"),
        options=own,
        max_seq_len=task.max_seq_len or max_seq_len,
        tokenizer_hash=tokenizer_hash(tokenizer),
        source_hash=source_hash,
        tokenizer=str(tokenizer.name_or_path),
        source=source,
        pad_token_id=int(tokenizer.pad_token_id or 0),
        soft_labels=soft_labels,
    )


def describe(manifest: Manifest) -> str:
    """Summarize a manifest in one line: examples, rows, lengths, truncated, dropped, soft labels."""
    windows = ""
    if manifest.sequences != manifest.examples:
        most = f" (at most {manifest.most_windows} per row)" if manifest.most_windows else ""
        windows = f"in {manifest.sequences} windows{most}, "
    line = (
        f"{manifest.task}_{manifest.split}: {manifest.examples} examples of {manifest.rows} rows, "
        f"{windows}{manifest.tokens / max(manifest.sequences, 1):.1f} tokens on average, longest {manifest.longest}, "
        f"{manifest.truncated} truncated at {manifest.max_seq_len}"
    )
    dropped = ", ".join(f"{count} {reason}" for reason, count in manifest.dropped.items())
    if dropped:
        line += f", dropped: {dropped}"
    if manifest.soft_labels:
        line += f", with soft labels ({manifest.soft_labels_unused} lines of their file unused)"
    return line


def differences(found: Manifest, wanted: Manifest) -> list[str]:
    """Return one line for each identity field in which two manifests differ."""
    return [
        f"{key}: the store has {_short(getattr(found, key))}, "
        f"this run has {_short(getattr(wanted, key))}"
        for key in IDENTITY
        if getattr(found, key) != getattr(wanted, key)
    ]


def _short(value: Any) -> str:
    text = str(value)
    return text[:12] + "…" if len(text) == 64 else text


_TYPES = {name: get_origin(hint) or hint for name, hint in get_type_hints(Manifest).items()}
"""Field -> its type. Resolving type hints is slow, and a run reads a manifest per data set."""


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of the store in ``folder``.

    Raises:
        UserError: the file is missing or is not a valid manifest.
    """
    try:
        values = strict_json.loads((folder / "manifest.json").read_bytes())
        if not isinstance(values, dict):
            raise ValueError(f"expected a JSON object, found {type(values).__name__}")
        for field in dataclasses.fields(Manifest):
            needed = field.default is field.default_factory is dataclasses.MISSING
            if needed and field.name not in values:
                raise ValueError(f"key {field.name!r} is missing")
        if unknown := sorted(set(values) - {field.name for field in dataclasses.fields(Manifest)}):
            raise ValueError(f"unknown key {unknown[0]!r}; a newer version may have written it")
        found = Manifest(**values)
        for name, kind in _TYPES.items():
            if not isinstance(getattr(found, name), kind):
                raise ValueError(f"{name} is {getattr(found, name)!r:.60}")
        return found
    except (OSError, TypeError, ValueError, RecursionError) as error:
        raise UserError(
            f"{folder}/manifest.json cannot be read ({error}); delete {folder} to rebuild the store"
        ) from None

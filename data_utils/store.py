"""The prepared token store of one (task, split): an Arrow file and the manifest of its making."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from transformers import PreTrainedTokenizerBase

from data_utils.columns import to_arrow, view
from data_utils.formats import FORMATS, DroppedRow, Example
from data_utils.registry import UserError
from data_utils.sources import RowSource
from data_utils.task_def import TaskDef, split_role

CHUNK = 4096
"""Rows tokenized at once: enough to keep the tokenizer's threads busy, little in memory."""


def ensure_store(
    task: TaskDef,
    split: str,
    *,
    source: RowSource | None,
    tokenizer: PreTrainedTokenizerBase,
    max_seq_len: int,
    store_dir: Path,
    on_stale: str = "refuse",
    report: Callable[[str], None] = lambda line: None,
) -> TaskStore:
    """The store of (task, split), made if missing; a stale one is refused or rebuilt.

    Without a ``source`` (the rows are gone) an existing store is used as it is, if it fits.

    Raises:
        UserError: a stale store and ``on_stale`` is ``refuse``; or malformed rows.
    """
    folder = store_dir / f"{task.name}_{split}"
    found = _read_manifest(folder) if (folder / "manifest.json").exists() else None
    if source is None and found is None:
        raise UserError(f"{task.where}: no rows and no store for split {split!r}")
    wanted = expected_manifest(
        task,
        split,
        source=source.name if source else found.source,
        source_hash=source.fingerprint() if source else found.source_hash,
        tokenizer=tokenizer,
        max_seq_len=max_seq_len,
    )
    if found is not None:
        differences = [
            f"{key}: the store has {_short(getattr(found, key))}, "
            f"this run has {_short(getattr(wanted, key))}"
            for key in IDENTITY
            if getattr(found, key) != getattr(wanted, key)
        ]
        if not differences:
            return TaskStore(folder)
        if on_stale == "refuse" or source is None:
            raise UserError(
                f"{folder} does not fit this run:\n  "
                + "\n  ".join(differences)
                + f"\n  (made from {found.source} by tokenizer {found.tokenizer}; this run reads "
                f"{wanted.source} with {wanted.tokenizer})\n"
                "Rebuild it with on_stale: rebuild (train.py: --data.on_stale rebuild, "
                "prepro.py: --on_stale rebuild), or name another store_dir."
            )
    assert source is not None
    manifest = build_store(folder, wanted, task=task, source=source, tokenizer=tokenizer)
    report(describe(manifest))
    return TaskStore(folder)


def build_store(
    folder: Path,
    manifest: Manifest,
    *,
    task: TaskDef,
    source: RowSource,
    tokenizer: PreTrainedTokenizerBase,
) -> Manifest:
    """Parse and tokenize every row; written aside and renamed, so a store is whole or absent."""
    data_format = FORMATS.get(task.data_format)
    aside = folder.with_name(folder.name + ".partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    counts = {"rows": 0, "truncated": 0, "tokens": 0, "longest": 0}
    dropped: Counter[str] = Counter()
    labelled: bool | None = None
    writer = None
    try:
        for examples in _chunks(_parse(source, task, counts, dropped)):
            labelled = _check_labels(examples, labelled, manifest)
            columns = data_format.encode(examples, tokenizer, manifest.max_seq_len)
            counts["truncated"] += sum(columns.pop("truncated"))
            if not labelled:
                columns.pop("labels")
            table = pa.table({name: to_arrow(name, rows) for name, rows in columns.items()})
            widths = view(table["input_ids"]).widths()
            counts["tokens"] += int(widths.sum())
            counts["longest"] = max(counts["longest"], int(widths.max()))
            if writer is None:
                schema = table.schema
                writer = pa.ipc.new_file(str(aside / "data.arrow"), schema)
            writer.write_table(table.cast(schema))
    finally:
        if writer is not None:
            writer.close()
    if writer is None:
        shutil.rmtree(aside)
        why = "".join(f"; {count} rows dropped: {reason}" for reason, count in dropped.items())
        raise UserError(f"{source.name}: no examples in it{why}")
    manifest = dataclasses.replace(
        manifest, labelled=bool(labelled), dropped=dict(dropped), **counts
    )
    text = json.dumps(dataclasses.asdict(manifest), indent=2, ensure_ascii=False)
    (aside / "manifest.json").write_text(text + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    aside.rename(folder)
    return manifest


def _parse(
    source: RowSource, task: TaskDef, counts: dict[str, int], dropped: Counter[str]
) -> Iterator[Example]:
    data_format = FORMATS.get(task.data_format)
    for row in source.rows():
        counts["rows"] += 1
        try:
            yield data_format.parse(row, task)
        except DroppedRow as reason:
            dropped[str(reason)] += 1


def _chunks(examples: Iterable[Example]) -> Iterator[list[Example]]:
    examples = iter(examples)
    while chunk := list(islice(examples, CHUNK)):
        yield chunk


def _check_labels(examples: list[Example], labelled: bool | None, manifest: Manifest) -> bool:
    """Whether the rows carry labels: all or none, and all in a train split."""
    for example in examples:
        has = example.label is not None
        labelled = has if labelled is None else labelled
        if has != labelled:
            raise UserError(
                f"{manifest.source}: row uid {example.uid!r} has {'a' if has else 'no'} label, "
                f"unlike the rows before it"
            )
    if not labelled and split_role(manifest.split) == "train":
        raise UserError(f"{manifest.source}: the rows have no labels; a train split needs them")
    return bool(labelled)


class TaskStore:
    """A prepared (task, split), memory-mapped.

    ``lengths`` (examples,) are token counts, special tokens included; of the longest candidate
    where an example has several.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.manifest = _read_manifest(self.folder)
        with pa.memory_map(str(self.folder / "data.arrow")) as mapped:
            table = pa.ipc.open_file(mapped).read_all()
        self.columns = {name: view(table[name]) for name in table.column_names}
        self.lengths: np.ndarray = self.columns["input_ids"].widths()

    def __len__(self) -> int:
        return len(self.lengths)

    def take(self, indices: Iterable[int]) -> dict[str, list]:
        """The named columns of the given examples, as lists of numpy rows or scalars."""
        indices = list(indices)
        return {
            name: [
                column[i].as_py() if isinstance(column, pa.Array) else column[i] for i in indices
            ]
            for name, column in self.columns.items()
        }


class StoreSubset:
    """Some examples of a store, with the interface of one that has no others."""

    def __init__(self, store: TaskStore, indices: np.ndarray) -> None:
        self.store = store
        self.indices = indices
        self.manifest = store.manifest
        self.lengths: np.ndarray = store.lengths[indices]

    def __len__(self) -> int:
        return len(self.indices)

    def take(self, indices: Iterable[int]) -> dict[str, list]:
        return self.store.take(self.indices[i] for i in indices)

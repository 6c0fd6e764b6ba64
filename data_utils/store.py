"""Token stores: tokenized examples of one (task, split) in an Arrow file."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from transformers import PreTrainedTokenizerBase

from data_utils.data_report import DataReport
from data_utils.errors import UserError
from data_utils.files import atomic_folder, recover, sha256, write_text
from data_utils.formats import DroppedRow, Example, Row
from data_utils.locks import waiting_for
from data_utils.manifest import Manifest as Manifest
from data_utils.manifest import describe as describe
from data_utils.manifest import differences, expected_manifest, read_manifest
from data_utils.names import confined
from data_utils.registries import FORMATS
from data_utils.soft_labels import SoftLabels, fingerprint
from data_utils.sources import FileSource, RowSource
from data_utils.task_def import TaskDef, split_role
from data_utils.token_rows import import_rows, is_tokenized
from data_utils.token_table import TokenTable, tokenize

CHUNK = 4096
"""Rows tokenized at a time: enough for the tokenizer's threads, and little memory."""


def store_folder(store_dir: Path, task: TaskDef, split: str, *, soft_hash: str = "") -> Path:
    """Return the folder of a store.

    Each file of soft labels has its own store, so that runs with and without distillation do not
    replace each other's.
    """
    suffix = f"-soft-{soft_hash[:8]}" if soft_hash else ""
    return confined(store_dir, f"{task.name}_{split}{suffix}")


def ensure_store(
    task: TaskDef,
    split: str,
    *,
    source: RowSource | None,
    tokenizer: PreTrainedTokenizerBase,
    max_seq_len: int,
    store_dir: Path,
    soft_labels: Path | None = None,
    on_stale: str = "refuse",
    log: Callable[[str], None] = lambda line: None,
) -> TaskStore:
    """Open the store of (task, split); build it if it is missing.

    A store is stale if it was made from other rows, settings, tokenizer or soft labels than those of
    this run.

    Args:
        task: the task.
        split: name of the split.
        source: source of the rows. None: use an existing store, whose settings must match.
        tokenizer: the encoder's tokenizer.
        max_seq_len: greatest length in tokens, for tasks that do not set their own.
        store_dir: folder of all stores.
        soft_labels: file of a teacher's logits, which become the column ``soft_labels``.
        on_stale: ``refuse`` raises an error for a stale store, ``rebuild`` rebuilds it.
        log: called with a one-line summary after a store is built.

    Raises:
        UserError: the store is stale and not rebuilt, there are neither rows nor a store, or rows or
            soft labels are malformed.
    """
    soft_hash = "" if soft_labels is None else fingerprint(soft_labels)
    folder = store_folder(store_dir, task, split, soft_hash=soft_hash)
    with waiting_for(
        folder.with_name(f".{folder.name}.lock"),
        log=log,
        busy=f"waiting for another process that prepares {folder}",
    ):
        recover(folder)
        return _ensure(
            folder,
            task,
            split,
            source=source,
            tokenizer=tokenizer,
            max_seq_len=max_seq_len,
            soft_labels=soft_labels,
            soft_hash=soft_hash,
            on_stale=on_stale,
            log=log,
        )


def _ensure(
    folder: Path,
    task: TaskDef,
    split: str,
    *,
    source: RowSource | None,
    tokenizer: PreTrainedTokenizerBase,
    max_seq_len: int,
    soft_labels: Path | None,
    soft_hash: str,
    on_stale: str,
    log: Callable[[str], None],
) -> TaskStore:
    """Open or build a store whose lock is held; see :func:`ensure_store`."""
    found = read_manifest(folder) if (folder / "manifest.json").exists() else None
    if source is not None:
        name, source_hash = source.name, source.fingerprint()
    elif found is not None:
        name, source_hash = found.source, found.source_hash
    else:
        raise UserError(
            f"{task.where}: split {split!r} has no rows and no prepared store ({folder})"
        )
    wanted = expected_manifest(
        task,
        split,
        source=name,
        source_hash=source_hash,
        tokenizer=tokenizer,
        max_seq_len=max_seq_len,
        soft_labels=soft_hash,
    )
    if found is not None:
        stale = differences(found, wanted)
        if not stale:
            if source is None:
                log(f"{task.name}_{split}: no rows; using {folder}, prepared from {name}")
            return TaskStore(folder)
        if source is None or on_stale == "refuse":
            raise UserError(
                f"store {folder} does not fit this run:\n  "
                + "\n  ".join(stale)
                + f"\n  (made from {found.source} by tokenizer {found.tokenizer}; this run reads "
                f"{name} with {wanted.tokenizer})\n"
                + (
                    "Rebuild it with --data.on_stale rebuild, or use another --data.store_dir."
                    if source
                    else "Its rows are missing, so it cannot be rebuilt: restore them, or use another "
                    "--data.store_dir."
                )
            )
    assert source is not None
    soft = None if soft_labels is None else SoftLabels(soft_labels, task, source=source.name)
    manifest = build_store(folder, wanted, task=task, source=source, tokenizer=tokenizer, soft=soft)
    log(describe(manifest))
    store = TaskStore(folder)
    store.is_new = True
    return store


def build_store(
    folder: Path,
    manifest: Manifest,
    *,
    task: TaskDef,
    source: RowSource,
    tokenizer: PreTrainedTokenizerBase,
    soft: SoftLabels | None = None,
) -> Manifest:
    """Parse and tokenize all rows and write the store.

    The store is written to a temporary folder and renamed, so that it is either complete or absent.

    Returns:
        The manifest with all counts.

    Raises:
        UserError: a row is malformed, there are no examples, or labels or soft labels are missing.
    """
    with atomic_folder(folder) as partial:
        report = DataReport(task, _known_keys(source, task))
        path = partial / "data.arrow"
        manifest = _write_rows(path, manifest, task, source, tokenizer, soft, report)
        manifest = dataclasses.replace(manifest, data_hash=sha256(path))
        report.save_texts(partial)
        text = json.dumps(dataclasses.asdict(manifest), indent=2, ensure_ascii=False)
        write_text(partial / "manifest.json", text + "\n")
    return manifest


def _write_rows(
    path: Path,
    manifest: Manifest,
    task: TaskDef,
    source: RowSource,
    tokenizer: PreTrainedTokenizerBase,
    soft: SoftLabels | None,
    report: DataReport,
) -> Manifest:
    """Write the Arrow file and return the manifest with all counts."""
    counts: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    longest = 0
    labelled: bool | None = None
    writer: pa.RecordBatchFileWriter | None = None
    try:
        for rows in _chunks(source.rows()):
            counts["rows"] += len(rows)
            if is_tokenized(rows[0]):
                length = manifest.max_seq_len
                table = import_rows(rows, task, vocabulary=len(tokenizer), max_seq_len=length)
                labelled = "labels" in table.column_names
                counts["examples"] += len(rows)
                own = "word_labels" if "word_labels" in table.column_names else "labels"
                labels = table[own].to_pylist() if labelled else [None] * len(rows)
                for row, label in zip(rows, labels, strict=True):
                    ids = row.values["token_id"]
                    report.add(row.where, (), uid=row.text("uid"), texts=ids, label=label)
            else:
                examples, rows = _parse(rows, task, dropped)
                if not examples:
                    continue
                labelled = _check_labels(examples, labelled, manifest)
                table, truncated = tokenize(
                    examples, task, tokenizer, max_seq_len=manifest.max_seq_len
                )
                counts["truncated"] += sum(truncated)
                for row, example in zip(rows, examples, strict=True):
                    keys = row.values.keys()
                    texts, label = example.texts, example.label
                    report.add(row.where, keys, uid=example.uid, texts=texts, label=label)
                counts["examples"] += len(examples)
            counts["sequences"] += len(table)
            widths = TokenTable(table).lengths
            counts["tokens"] += int(widths.sum())
            ids = _flat(table["input_ids"])
            counts["ids"] += len(ids)
            if tokenizer.unk_token_id is not None:
                counts["unknown"] += pc.sum(pc.equal(ids, tokenizer.unk_token_id)).as_py() or 0
            longest = max(longest, int(widths.max()))
            if soft is not None:
                table = table.append_column("soft_labels", soft.join(table))
            if writer is None:
                schema = table.schema
                writer = pa.ipc.new_file(str(path), schema)
            writer.write_table(_same_columns(table, schema, rows[0]))
    finally:
        if writer is not None:
            writer.close()
    if writer is None:
        why = "".join(f"; {count} rows dropped: {reason}" for reason, count in dropped.items())
        raise UserError(f"{source.name}: the source has no examples{why}")
    if not labelled and split_role(manifest.split) == "train":
        raise UserError(f"{manifest.source}: the rows have no labels; a train split needs them")
    return dataclasses.replace(
        manifest,
        rows=counts["rows"],
        examples=counts["examples"],
        sequences=counts["sequences"],
        truncated=counts["truncated"],
        tokens=counts["tokens"],
        longest=longest,
        labelled=bool(labelled),
        dropped=dict(dropped),
        report=report.finish(counts["ids"], counts["unknown"]),
        soft_labels_unused=0 if soft is None else soft.close(),
    )


def _parse(
    rows: list[Row], task: TaskDef, dropped: Counter[str]
) -> tuple[list[Example], list[Row]]:
    """Parse rows; count those that the format drops in ``dropped``, by reason.

    Returns:
        The examples, and their rows.
    """
    data_format = FORMATS.get(task.data_format)
    examples, kept = [], []
    for row in rows:
        try:
            examples.append(data_format.parse(row, task))
            kept.append(row)
        except DroppedRow as reason:
            dropped[str(reason)] += 1
    return examples, kept


def _known_keys(source: RowSource, task: TaskDef) -> set[str] | None:
    """Return the keys of a JSON-lines file that are read; None for other sources."""
    if not (isinstance(source, FileSource) and source.path.suffix == ".jsonl"):
        return None
    own = FORMATS.get(task.data_format)
    columns = {column.rstrip("*") for column in own.columns}
    return {*columns, *own.optional_keys, *source.renames.values(), "uid", "label", "idx"}


def _flat(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the entries of a list column without its lists."""
    while pa.types.is_list(column.type):
        column = pc.list_flatten(column)
    return column


def _same_columns(table: pa.Table, schema: pa.Schema, row: Row) -> pa.Table:
    """Cast a chunk to the columns of the chunks before it.

    Raises:
        UserError: it has other columns, or a column has values of another kind.
    """
    try:
        if set(table.column_names) != set(schema.names):
            raise KeyError
        return table.select(schema.names).cast(schema)
    except (KeyError, pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise UserError(
            f"{row.where}: the rows from here on have the columns "
            f"{', '.join(f'{field.name} ({field.type})' for field in table.schema)}; the rows before them "
            f"have {', '.join(f'{field.name} ({field.type})' for field in schema)}. All rows of a file "
            f"need the same columns, and all or none a label"
        ) from None


def _chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    rows = iter(rows)
    while chunk := list(islice(rows, CHUNK)):
        yield chunk


def _check_labels(examples: list[Example], labelled: bool | None, manifest: Manifest) -> bool:
    """Check that either all rows or no rows have labels.

    Args:
        labelled: whether the rows of earlier chunks have labels; None in the first chunk.

    Returns:
        Whether the rows have labels.

    Raises:
        UserError: some rows have a label and some do not.
    """
    for example in examples:
        has = example.label is not None
        labelled = has if labelled is None else labelled
        if has != labelled:
            raise UserError(
                f"{manifest.source}: row uid {example.uid!r} has {'a' if has else 'no'} label, "
                f"unlike the rows before it; label all rows of a split or none"
            )
    return bool(labelled)


class TaskStore(TokenTable):
    """The store of one (task, split), opened from its folder.

    Raises:
        UserError: the manifest or the Arrow file cannot be read, or the checksum of the file is wrong.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.is_new = False
        """Whether this process built the store."""
        self.manifest = read_manifest(self.folder)
        path = self.folder / "data.arrow"
        try:
            if self.manifest.data_hash and sha256(path) != self.manifest.data_hash:
                raise OSError(f"the checksum of {path} differs from that in manifest.json")
            with pa.memory_map(str(path)) as mapped:
                table = pa.ipc.open_file(mapped).read_all()
            table.validate(full=True)  # of damaged offsets, reading would crash the process
            super().__init__(table)
        except (OSError, KeyError, AttributeError, pa.ArrowException) as error:
            raise UserError(
                f"store {self.folder} is damaged ({error}); delete it to rebuild it"
            ) from None


class StoreSubset:
    """A subset of a store's examples, with the attributes that training and evaluation use.

    Args:
        store: the store, or a subset of it.
        indices: the examples, numbered as in ``store``. For evaluation they are in order, and all
            windows of a row are among them.
    """

    def __init__(self, store: TaskStore | StoreSubset, indices: np.ndarray) -> None:
        self.store = store
        self.indices = indices
        self.manifest: Manifest = store.manifest
        self.lengths: np.ndarray = store.lengths[indices]
        windows = store.windows
        self.windows: np.ndarray | None = None if windows is None else windows[indices]
        labels = store.labels
        self.labels: np.ndarray | None = None if labels is None else labels[indices]

    def __len__(self) -> int:
        return len(self.indices)

    def take(self, indices: Iterable[int]) -> dict[str, list]:
        return self.store.take(self.indices[i] for i in indices)

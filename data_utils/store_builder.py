"""Build a token store: parse and tokenize the rows of one (task, split)."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from transformers import PreTrainedTokenizerBase

from data_utils.data_report import DataReport
from data_utils.errors import UserError
from data_utils.files import atomic_folder, sha256, write_text
from data_utils.formats import DroppedRow, Example, Row
from data_utils.garbage import collector_paused
from data_utils.manifest import Manifest
from data_utils.registries import FORMATS
from data_utils.soft_labels import SoftLabels
from data_utils.sources import FileSource, RowSource
from data_utils.task_def import TaskDef, split_role
from data_utils.token_rows import import_rows, is_tokenized
from data_utils.token_table import TokenTable, tokenize

CHUNK = 4096
"""Rows tokenized at a time: enough for the tokenizer's threads, and little memory."""


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
    with atomic_folder(folder) as partial, collector_paused():
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
    longest = most_windows = 0
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
            widths = TokenTable(table).lengths
            ids = _flat(table["input_ids"])
            counts["ids"] += len(ids)
            if task.windows is None:
                counts["sequences"] += len(table)
                counts["tokens"] += int(widths.sum())
            else:
                windows = pc.list_value_length(table["input_ids"])
                counts["sequences"] += pc.sum(windows).as_py()
                counts["tokens"] += len(ids)
                most_windows = max(most_windows, pc.max(windows).as_py())
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
        most_windows=most_windows,
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
    if set(table.column_names) == set(schema.names):
        with suppress(pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return table.select(schema.names).cast(schema)
    here, before = (
        ", ".join(f"{field.name} ({field.type})" for field in fields)
        for fields in (table.schema, schema)
    )
    raise UserError(
        f"{row.where}: the rows from here on have the columns {here}; the rows before them have {before}. "
        f"All rows of a file need the same columns, and all or none a label"
    )


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

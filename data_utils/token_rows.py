"""Export and import of MT-DNN's tokenized rows, JSON lines with one row per example.

| key | value |
|---|---|
| uid | text |
| label | class id, number, position of the best candidate, or one id per token |
| token_id, type_id, attention_mask | lists; lists of lists for candidates; the mask, which may be left out, is 1 everywhere |
| ruid, olabel | lists of an id and a label for each candidate |

For labels per word, ``label`` has an id for each token: the word's label at its first sub-word, X at its
other sub-words, CLS and SEP at the ends. If the task's labels do not include X, CLS or SEP, the missing
ones get the ids after the last label.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from data_utils.columns import to_arrow
from data_utils.errors import UserError, shown
from data_utils.files import atomic_file
from data_utils.formats import Row
from data_utils.registries import FORMATS
from data_utils.task_def import TaskDef
from data_utils.token_table import TokenTable


def export_rows(table: TokenTable, task: TaskDef, path: Path) -> int:
    """Write the examples of a store as tokenized rows.

    Returns:
        The number of rows.

    Raises:
        UserError: MT-DNN's rows cannot represent the labels of the task.
    """
    _check_format(task)
    with atomic_file(path) as stream:
        for index in range(len(table)):
            row = {name: values[0] for name, values in table.take([index]).items()}
            stream.write(json.dumps(_exported(row, task)) + "\n")
    return len(table)


def _exported(row: dict[str, Any], task: TaskDef) -> dict[str, Any]:
    ids = row["input_ids"]
    values: dict[str, Any] = {"uid": row["uid"]}
    label = FORMATS.get(task.data_format).export_label(row, task)
    if isinstance(ids, list):  # candidates
        types = row.get("token_type_ids") or [np.zeros_like(one) for one in ids]
        values |= {
            "token_id": [one.tolist() for one in ids],
            "type_id": [t.tolist() for t in types],
        }
        values["attention_mask"] = [[1] * len(one) for one in ids]
        return values | label
    types = row.get("token_type_ids")
    types = np.zeros_like(ids) if types is None else types
    values |= {"token_id": ids.tolist(), "type_id": types.tolist()}
    values["attention_mask"] = [1] * len(ids)
    return values | label


def is_tokenized(row: Row) -> bool:
    """Return whether a row is one of MT-DNN's tokenized rows."""
    return "token_id" in row.values


def import_rows(
    rows: Iterable[Row], task: TaskDef, *, vocabulary: int, max_seq_len: int
) -> pa.Table:
    """Convert tokenized rows to the columns of a store.

    The ids are used as they are; the rows are not tokenized or truncated again.

    Args:
        rows: the rows.
        task: task of the rows.
        vocabulary: number of tokens of the tokenizer. Larger ids mean that the rows were made with
            another tokenizer.
        max_seq_len: greatest allowed length, in tokens.

    Raises:
        UserError: a row is malformed, was made with another tokenizer, or is too long; the message
            has file and line.
    """
    _check_format(task)
    columns: dict[str, list] = {}
    for row in rows:
        try:
            imported = _imported(row, task, vocabulary, max_seq_len)
        except KeyError as error:
            raise UserError(f"{row.where}: key {error} is missing in a tokenized row") from None
        for name, value in imported.items():
            columns.setdefault(name, []).append(value)
    for name, values in columns.items():
        if len(values) < len(columns["uid"]):
            raise UserError(f"{row.where}: some rows have {name} and some do not")
    return pa.table({name: to_arrow(name, values) for name, values in columns.items()})


def _imported(row: Row, task: TaskDef, vocabulary: int, max_seq_len: int) -> dict[str, Any]:
    ids, types = row.values["token_id"], row.values["type_id"]
    for key, value in (("token_id", ids), ("type_id", types)):
        if not isinstance(value, list) or not value:
            raise UserError(f"{row.where}: {key}: {value!r:.60} is not a list of at least one id")
    nested = isinstance(ids[0], list)
    data_format = FORMATS.get(task.data_format)
    if nested != data_format.has_candidates:
        raise UserError(
            f"{row.where}: token_id does not fit data_format {task.data_format}, which needs "
            f"{'a list for each candidate' if data_format.has_candidates else 'one list of ids'}"
        )
    if nested and len(ids) != len(types):
        raise UserError(f"{row.where}: {len(ids)} lists of token_id for {len(types)} of type_id")
    for tokens, kinds in zip(*((ids, types) if nested else ([ids], [types])), strict=True):
        for key, values in (("token_id", tokens), ("type_id", kinds)):
            are_ids = isinstance(values, list) and all(type(value) is int for value in values)
            if not are_ids or not values or (key == "type_id" and not set(values) <= {0, 1}):
                raise UserError(
                    f"{row.where}: {key}: {values!r:.60} is not a list of whole numbers"
                    + (", each 0 or 1" if key == "type_id" else "")
                )
        if len(tokens) != len(kinds):
            raise UserError(f"{row.where}: {len(tokens)} token_id for {len(kinds)} type_id")
        if not 0 <= min(tokens) <= max(tokens) < vocabulary:
            worst = min(tokens) if min(tokens) < 0 else max(tokens)
            raise UserError(
                f"{row.where}: token_id {worst}: the encoder's tokenizer has {vocabulary} "
                f"tokens; the row was made with another tokenizer"
            )
        if len(tokens) > max_seq_len:
            raise UserError(
                f"{row.where}: {len(tokens)} tokens are more than max_seq_len {max_seq_len}; "
                f"tokenized rows are not truncated, so raise max_seq_len"
            )
    _check_mask(row, ids if nested else [ids])
    columns = {"uid": row.text("uid"), "input_ids": ids, "token_type_ids": types}
    return columns | data_format.import_label(row, task)


def _check_mask(row: Row, ids: list[list[int]]) -> None:
    """Raise UserError if a mask does not mark every token as real: rows are stored without padding."""
    masks = row.values.get("attention_mask")
    if masks is None:
        return
    nested = isinstance(masks, list) and bool(masks) and isinstance(masks[0], list)
    masks = masks if nested else [masks]
    if [len(m) if isinstance(m, list) else None for m in masks] != [len(one) for one in ids]:
        raise UserError(
            f"{row.where}: attention_mask: {shown(row.values['attention_mask']):.60} is not a list with one "
            f"entry for each token_id"
        )
    if any(type(value) is not int or value != 1 for mask in masks for value in mask):
        raise UserError(
            f"{row.where}: attention_mask: {shown(row.values['attention_mask']):.60}; every entry must be 1. "
            f"Batches are padded later: write the rows without padding tokens"
        )


def _check_format(task: TaskDef) -> None:
    """Raise UserError if MT-DNN's tokenized rows cannot hold the examples of the task."""
    if task.windows is not None:
        raise UserError(
            f"{task.where}: windows: MT-DNN's tokenized rows hold one sequence per example; remove windows, or "
            f"use rows of text and no --export"
        )
    if task.label in FORMATS.get(task.data_format).token_row_labels:
        return
    able = [
        f"{name} ({', '.join(map(str, FORMATS.get(name).token_row_labels))})"
        for name in FORMATS.names()
        if FORMATS.get(name).token_row_labels
    ]
    raise UserError(
        f"{task.where}: MT-DNN's tokenized rows hold no {task.data_format} task of type "
        f"{task.task_type} ({task.label}); they hold {'; '.join(able)}"
    )

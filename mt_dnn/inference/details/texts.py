"""Texts of examples: from the source of the rows, or decoded from token ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data_utils.errors import UserError
from data_utils.formats import DroppedRow
from data_utils.registries import FORMATS
from data_utils.sources import RowSource, find_source
from data_utils.task_def import TaskDef

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from data_utils.store import StoreSubset, TaskStore

LONGEST = 2000
"""Characters of a text that are kept."""


def unchanged_source(
    task: TaskDef, split: str, data_dir: str | Path, fingerprint: str
) -> RowSource | None:
    """Return the source of a split; None if it is gone, unreadable or has changed.

    Args:
        fingerprint: of the rows that the predictions belong to, as the store's manifest has it.
    """
    try:
        source = find_source(task, split, data_dir)
        return source if source is not None and source.fingerprint() == fingerprint else None
    except (UserError, OSError):
        return None


def source_texts(
    source: RowSource, task: TaskDef, uids: Sequence[str], wanted: Iterable[int]
) -> dict[int, dict[str, str]]:
    """Read the texts of some examples in one pass over the rows, which are not kept in memory.

    Args:
        uids: of all examples of the data set, in order. A uid that occurs twice means its rows in order.
        wanted: positions of the examples in ``uids``.

    Returns:
        Position -> column -> text, without the examples that are not found.
    """
    wanted = set(wanted)
    seen: Counter[str] = Counter()
    places = {}
    for place, uid in enumerate(uids):
        if place in wanted:
            places[uid, seen[uid]] = place
        seen[uid] += 1
    needed = {uid for uid, _ in places}
    found: dict[int, dict[str, str]] = {}
    data_format = FORMATS.get(task.data_format)
    seen.clear()
    try:
        for row in source.rows():
            if (uid := str(row.values.get("uid"))) not in needed:
                continue
            try:
                texts = data_format.parse(row, task).texts
            except DroppedRow:
                continue
            key = (uid, seen[uid])
            seen[uid] += 1
            if key in places:
                found[places[key]] = texts_by_column(data_format.text_columns, texts)
                if len(found) == len(places):
                    break
    except (UserError, KeyError):  # rows that hold token ids, as MT-DNN's
        pass
    return found


def texts_by_column(columns: Sequence[str], texts: Sequence[str]) -> dict[str, str]:
    """Return the texts of an example by column: candidates are numbered, and words are joined."""
    *fixed, last = columns
    named = dict(zip(fixed, texts, strict=False))
    rest = texts[len(fixed) :]
    if last.endswith("*"):
        named |= {f"{last[:-1]} {number}": text for number, text in enumerate(rest, start=1)}
    else:
        named[last] = " ".join(rest)
    return {column: _short(text) for column, text in named.items()}


def stored_texts(
    store: TaskStore | StoreSubset, tokenizer: PreTrainedTokenizerBase, wanted: Iterable[int]
) -> dict[int, dict[str, str]]:
    """Decode the token ids of some examples; of a long text, its first window.

    Args:
        wanted: numbers of rows in the store, from 0.

    Returns:
        Row -> ``text``, or ``candidate 1``, ``candidate 2`` and so on.
    """
    rows = list(wanted)
    windows = store.windows
    first = np.arange(len(store)) if windows is None else np.flatnonzero(windows == 0)

    def decoded(ids: Any) -> str:
        return _short(str(tokenizer.decode(ids, skip_special_tokens=True)))

    columns = store.take(int(first[row]) for row in rows)
    found = {}
    for row, ids in zip(rows, columns["input_ids"], strict=True):
        if isinstance(ids, list):
            found[row] = {f"candidate {n}": decoded(one) for n, one in enumerate(ids, start=1)}
        else:
            found[row] = {"text": decoded(ids)}
    return found


def source_groups(source: RowSource, task: TaskDef, uids: Sequence[str]) -> list[str] | None:
    """Return the group of each example: a hash of the text that rows of the format share.

    Returns:
        None if the format has no such column, or an example is not found.
    """
    column = FORMATS.get(task.data_format).shared_column
    if column is None:
        return None
    groups = {}
    try:
        for row in source.rows():
            digest = blake2b(row.text(column).encode(), digest_size=16).hexdigest()
            groups[str(row.values["uid"])] = digest
    except (UserError, KeyError):
        return None
    found = [groups.get(uid) for uid in uids]
    return [group for group in found if group is not None] if None not in found else None


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"

"""Conversion between Arrow columns and numpy, lists and nested lists included."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

# Small integer types to save space. Arrow infers the types of the other columns.
_ID_TYPES = {"input_ids": pa.int32(), "token_type_ids": pa.int8()}


def to_arrow(name: str, rows: list) -> pa.Array:
    """Convert the entries of one column to an Arrow array."""
    if name not in _ID_TYPES:
        array = pa.array(rows)
        # From empty lists alone, Arrow infers the type null, which the next chunk would not match.
        empty = pa.types.is_list(array.type) and pa.types.is_null(array.type.value_type)
        return array.cast(pa.list_(pa.string())) if empty else array
    return _list_array(rows, _ID_TYPES[name])


def _list_array(rows: list, kind: pa.DataType) -> pa.Array:
    """Convert lists of ids, or nested lists of them, to an Arrow array.

    Args:
        kind: type of the ids.
    """
    offsets = np.zeros(len(rows) + 1, np.int32)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    flat = list(chain.from_iterable(rows))
    nested = bool(flat) and isinstance(flat[0], list)
    # numpy converts a flat list several times as fast as Arrow converts lists of lists.
    ids = _list_array(flat, kind) if nested else pa.array(np.array(flat, kind.to_pandas_dtype()))
    return pa.ListArray.from_arrays(pa.array(offsets), ids)


@dataclass(frozen=True)
class ListColumn:
    """A list column without copies: row i is ``values[offsets[i]:offsets[i + 1]]``."""

    offsets: np.ndarray
    values: Any

    def __getitem__(self, index: int) -> Any:
        start, stop = self.offsets[index], self.offsets[index + 1]
        if isinstance(self.values, ListColumn):
            return [self.values[i] for i in range(start, stop)]
        part = self.values[start:stop]
        return part.to_pylist() if isinstance(part, pa.Array) else part

    def widths(self) -> np.ndarray:
        """Number of entries of each row; for rows of candidates, of the longest candidate."""
        if isinstance(self.values, ListColumn):
            return np.maximum.reduceat(self.values.widths(), self.offsets[:-1])
        return np.diff(self.offsets)


def numpy_view(column: pa.ChunkedArray | pa.Array) -> Any:
    """Return an Arrow column as a numpy array or ListColumn; a text column stays Arrow."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_list(array.type):
        return ListColumn(_to_numpy(array.offsets), numpy_view(array.values))
    return array if pa.types.is_string(array.type) else _to_numpy(array)


def _to_numpy(array: pa.Array) -> np.ndarray:
    """As ``to_numpy``, which imports pandas and so delays every start, but without it for numbers."""
    number = pa.types.is_integer(array.type) or pa.types.is_floating(array.type)
    if not number or array.null_count or not len(array):
        return array.to_numpy(zero_copy_only=False)
    kind = (
        "f"
        if not pa.types.is_integer(array.type)
        else "iu"[pa.types.is_unsigned_integer(array.type)]
    )
    values = np.frombuffer(array.buffers()[1], dtype=f"{kind}{array.type.bit_width // 8}")
    return values[array.offset : array.offset + len(array)]

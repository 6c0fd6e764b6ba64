"""Conversion between Arrow columns and numpy, lists and nested lists included."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate, chain
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

    def __len__(self) -> int:
        return len(self.offsets) - 1

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


class ChunkedLists:
    """A list column of several chunks, which stay where they are, such as in a memory-mapped file."""

    def __init__(self, chunks: list[ListColumn]) -> None:
        self.chunks = chunks
        self.starts = list(accumulate((len(chunk) for chunk in chunks), initial=0))
        """Number of the first row of each chunk."""

    def __getitem__(self, index: int) -> Any:
        chunk = bisect_right(self.starts, index) - 1
        return self.chunks[chunk][index - self.starts[chunk]]

    def widths(self) -> np.ndarray:
        """Number of entries of each row, as :meth:`ListColumn.widths`."""
        return np.concatenate([chunk.widths() for chunk in self.chunks])


def numpy_view(column: pa.ChunkedArray | pa.Array) -> Any:
    """Return an Arrow column as a numpy array, or as lists without a copy; a text column stays Arrow."""
    if pa.types.is_string(column.type):
        return column
    if isinstance(column, pa.ChunkedArray):
        if pa.types.is_list(column.type) and column.num_chunks > 1:
            return ChunkedLists([numpy_view(chunk) for chunk in column.chunks])
        column = column.combine_chunks()
    if pa.types.is_list(column.type):
        return ListColumn(_to_numpy(column.offsets), numpy_view(column.values))
    return _to_numpy(column)


def _to_numpy(array: pa.Array) -> np.ndarray:
    """As ``to_numpy``, which imports pandas and so delays every start, but without it for numbers."""
    number = pa.types.is_integer(array.type) or pa.types.is_floating(array.type)
    if not number or array.null_count or not len(array):
        return array.to_numpy(zero_copy_only=False)
    values = np.frombuffer(array.buffers()[1], array.type.to_pandas_dtype())
    return values[array.offset : array.offset + len(array)]

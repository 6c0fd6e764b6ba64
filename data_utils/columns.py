"""Arrow columns <-> numpy, for rows of lists and of lists of candidates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

# Ids and types are narrow; anything else keeps the type Arrow infers.
_ID_TYPES = {"input_ids": pa.int32(), "token_type_ids": pa.int8()}


def to_arrow(name: str, rows: list) -> pa.Array:
    """One column of the store."""
    if name not in _ID_TYPES:
        array = pa.array(rows)
        # Nothing but empty lists has no type of its own; the next chunk's would not fit it.
        empty = pa.types.is_list(array.type) and pa.types.is_null(array.type.value_type)
        return array.cast(pa.list_(pa.string())) if empty else array
    kind = pa.list_(_ID_TYPES[name])
    nested = bool(rows) and bool(rows[0]) and isinstance(rows[0][0], list)
    return pa.array(rows, type=pa.list_(kind) if nested else kind)


@dataclass(frozen=True)
class Lists:
    """A list column without copies: row i is ``values[offsets[i]:offsets[i + 1]]``."""

    offsets: np.ndarray
    values: Any

    def __getitem__(self, index: int) -> Any:
        start, stop = self.offsets[index], self.offsets[index + 1]
        if isinstance(self.values, Lists):
            return [self.values[i] for i in range(start, stop)]
        part = self.values[start:stop]
        return part.to_pylist() if isinstance(part, pa.Array) else part

    def widths(self) -> np.ndarray:
        """Entries per row; where rows hold candidates, of the longest candidate."""
        if isinstance(self.values, Lists):
            return np.maximum.reduceat(self.values.widths(), self.offsets[:-1])
        return np.diff(self.offsets)


def view(column: pa.ChunkedArray | pa.Array) -> Any:
    """numpy views of an Arrow column; text stays Arrow."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_list(array.type):
        return Lists(array.offsets.to_numpy(), view(array.values))
    if pa.types.is_string(array.type):
        return array
    return array.to_numpy(zero_copy_only=False)

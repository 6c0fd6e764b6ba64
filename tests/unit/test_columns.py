"""Arrow columns as numpy: the values of pyarrow's own conversion, without importing pandas."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from data_utils.columns import numpy_view, to_arrow


@pytest.mark.parametrize(
    "array",
    [
        pa.array([1, 2, 3], pa.int8()),
        pa.array([1, 2, 3, 4], pa.int32())[1:3],
        pa.array([0.5, -1.0]),
        pa.array([True, False]),
        pa.array([1, None, 3]),
        pa.array([], pa.int32()),
        pa.chunked_array([[1, 2], [3]]),
    ],
    ids=str,
)
def test_numbers_are_those_of_pyarrow(array):
    found, expected = (
        numpy_view(array),
        array.to_numpy(zero_copy_only=False) if isinstance(array, pa.Array) else array.to_numpy(),
    )
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == expected.dtype


def test_lists_have_the_values_of_their_rows():
    rows = [[1, 2], [], [3]]
    column = numpy_view(pa.array(rows, pa.list_(pa.int32())))
    assert [column[i].tolist() for i in range(3)] == rows
    assert column.widths().tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    ("name", "kind"), [("input_ids", pa.int32()), ("token_type_ids", pa.int8())]
)
@pytest.mark.parametrize(
    "rows", [[[1, 2], [], [3]], [[], [1]], [], [[[1, 2], [3]], [[4]]], [[[1]], []]], ids=str
)
def test_ids_are_written_as_pyarrow_writes_lists(name, kind, rows):
    nested = any(isinstance(one, list) for row in rows for one in row)
    expected = pa.array(rows, pa.list_(pa.list_(kind)) if nested else pa.list_(kind))

    def written(array: pa.Array) -> bytes:
        return pa.record_batch([array], names=["ids"]).serialize().to_pybytes()

    assert written(to_arrow(name, rows)) == written(expected)


def test_reading_numbers_imports_no_pandas(tmp_path):
    path = tmp_path / "data.arrow"
    table = pa.table({"input_ids": [[1, 2], [3]], "labels": [0, 1]})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    code = (
        "import sys, pyarrow as pa\n"
        "from data_utils.columns import numpy_view\n"
        f"table = pa.ipc.open_file(pa.memory_map({str(path)!r})).read_all()\n"
        "assert numpy_view(table['input_ids']).widths().tolist() == [2, 1]\n"
        "assert numpy_view(table['labels']).tolist() == [0, 1]\n"
        "assert 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

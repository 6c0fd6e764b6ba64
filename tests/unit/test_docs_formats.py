"""The rows of docs/formats.md are read as the page says, and both forms of a row are equal."""

from __future__ import annotations

import json
import re

import pytest

from data_utils.formats import Row
from data_utils.registries import FORMATS
from data_utils.sources.base import by_position
from mt_dnn.task_types import load_tasks
from tests.support.documents import ROOT, blocks

PAGE = ROOT / "docs" / "formats.md"
NAMES = re.findall(r"^## (\w+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def test_every_format_has_a_section():
    assert sorted(NAMES) == sorted(FORMATS.names())


@pytest.mark.parametrize("number", range(len(NAMES)), ids=NAMES)
def test_both_rows_are_the_same_example(number, tmp_path):
    path = tmp_path / "tasks.yml"
    path.write_text(blocks(PAGE, "yaml")[number])
    ((_, task),) = load_tasks(path).items()
    assert task.data_format == NAMES[number]
    data_format = FORMATS.get(task.data_format)
    by_name = json.loads(blocks(PAGE, "json")[number])
    cells = blocks(PAGE, "tsv")[number].rstrip("\n").split("\t")
    assert len(cells) > 1
    examples = [
        data_format.parse(Row(values, "here"), task)
        for values in (by_name, by_position(cells, data_format.columns))
    ]
    assert examples[0] == examples[1]
    assert examples[0].label is not None

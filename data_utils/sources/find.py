"""Find the source of the rows of (task, split)."""

from __future__ import annotations

from pathlib import Path

from data_utils.errors import UserError
from data_utils.registries import FORMATS
from data_utils.sources.base import RowSource
from data_utils.sources.hub import HubSource
from data_utils.sources.lines import FileSource
from data_utils.task_def import TaskDef


def find_source(task: TaskDef, split: str, data_dir: str | Path) -> RowSource | None:
    """Find the source of the rows of (task, split).

    If the task file gives no ``source``, the rows are in ``{data_dir}/{task}_{split}`` with the suffix
    ``.tsv``, ``.jsonl`` or ``.json``. MT-DNN uses ``.json`` for its tokenized rows (see
    :mod:`data_utils.token_rows`).

    Returns:
        The source, or None if the split has none.

    Raises:
        UserError: a file that the task file names does not exist, or the rows are in several files.
    """
    data_format = FORMATS.get(task.data_format)
    source = task.source
    if source is not None and source.hub:
        theirs = source.splits.get(split, split)
        return HubSource(
            source.hub, source.config, source.revision, theirs, source.columns, bool(task.labels)
        )
    if source is not None:
        if split not in source.files:
            return None
        path = Path(data_dir) / source.files[split]  # an absolute path is used unchanged
        if not path.exists():
            raise UserError(f"{task.where}: source: file {path} does not exist")
        return FileSource(path, data_format.columns, source.columns)
    stem = f"{task.name}_{split}"
    paths = [Path(data_dir) / f"{stem}{suffix}" for suffix in (".tsv", ".jsonl", ".json")]
    found = [path for path in paths if path.is_file()]
    if len(found) > 1:
        raise UserError(
            f"{data_dir}: the rows of {stem} are in several files: "
            f"{', '.join(path.name for path in found)}; keep one of them, or name it under source: files"
        )
    return FileSource(found[0], data_format.columns, {}) if found else None

"""Find the source of the rows of (task, split)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from data_utils.errors import UserError
from data_utils.registries import FORMATS
from data_utils.source_keys import CONLL, PREDICTED_CONLL, has_header
from data_utils.sources.base import RowSource
from data_utils.sources.conll import ConllSource
from data_utils.sources.delimited import DelimitedSource
from data_utils.sources.hub import HubSource
from data_utils.sources.lines import FileSource
from data_utils.task_def import SourceDef, TaskDef, split_role


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
        return file_source(path, task, source, split)
    stem = f"{task.name}_{split}"
    paths = [Path(data_dir) / f"{stem}{suffix}" for suffix in (".tsv", ".jsonl", ".json")]
    found = [path for path in paths if path.is_file()]
    for path in paths:
        if path.is_dir():
            raise UserError(f"{path} is a folder; the rows of {stem} must be a file")
        if path.is_symlink() and not path.exists():
            raise UserError(f"{path} is a link to a file that does not exist: {os.readlink(path)}")
    if len(found) > 1:
        raise UserError(
            f"{data_dir}: the rows of {stem} are in several files: "
            f"{', '.join(path.name for path in found)}; keep one of them, or name it under source: files"
        )
    return FileSource(found[0], data_format.columns, {}) if found else None


def file_source(
    path: Path, task: TaskDef, source: SourceDef, split: str
) -> FileSource | DelimitedSource | ConllSource:
    """Return the source of a file of the task file, by its suffix.

    A test split of a file with a header may lack the column of the label.
    """
    data_format = FORMATS.get(task.data_format)
    if path.name.endswith(CONLL):
        return ConllSource(path, source.columns)
    if not has_header(path.name, source):
        return FileSource(path, data_format.columns, source.columns)
    is_csv = path.suffix == ".csv"
    required = tuple(name.rstrip("*") for name in data_format.text_columns)
    labelled = split_role(split) != "test" and "label" in data_format.columns
    return DelimitedSource(
        path,
        source.columns,
        delimiter=source.delimiter or ("," if is_csv else "\t"),
        quoting=is_csv if source.quoting is None else source.quoting,
        required=(*required, "label") if labelled and not data_format.optional_keys else required,
    )


def conll_to_predict(path: Path, task: TaskDef) -> ConllSource | None:
    """Return the source of a file of CoNLL columns to predict; None if the suffix is another.

    The columns are those of the task's ``source``, if that has CoNLL columns too, else the first and the last.

    Raises:
        UserError: the task's data format does not read CoNLL columns.
    """
    if not path.name.endswith(PREDICTED_CONLL):
        return None
    if not FORMATS.get(task.data_format).reads_conll:
        raise UserError(
            f"{path}: {path.suffix} is a file of CoNLL columns, which data_format {task.data_format} of task "
            f"{task.name!r} does not read; give .tsv, .csv or .jsonl"
        )
    source = task.source or SourceDef()
    like = any(name.endswith(CONLL) for name in source.files.values())
    return ConllSource(path, source.columns if like else {})


def csv_to_predict(
    path: Path, task: TaskDef, columns: Mapping[str, str] | None = None
) -> DelimitedSource:
    """Return the source of a CSV file to predict, or of a TSV file with a header.

    The column of the label may be missing.

    Args:
        path: the file.
        task: the task that the rows belong to.
        columns: our column name -> name in the header. None: the header has the names of the task's
            ``source``, if that has a header too, else ours.
    """
    source = task.source or SourceDef()
    is_csv = path.suffix == ".csv"
    if columns is None:
        like = any(has_header(name, source) for name in source.files.values())
        columns = source.columns if like else {}
    required = FORMATS.get(task.data_format).text_columns
    return DelimitedSource(
        path,
        dict(columns),
        delimiter=(source.delimiter or ",") if is_csv else "\t",
        quoting=is_csv,
        required=tuple(name.rstrip("*") for name in required),
        to_predict=True,
    )

"""Sources of rows: canonical TSV, JSON lines and Hugging Face datasets."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from data_utils import strict_json
from data_utils.errors import UserError
from data_utils.formats import Row
from data_utils.registries import FORMATS
from data_utils.task_def import TaskDef
from data_utils.utf8 import numbered, open_lines


class RowSource(Protocol):
    """The raw rows of one (task, split)."""

    @property
    def name(self) -> str:
        """Name of the source, for messages."""

    def rows(self) -> Iterator[Row]:
        """Yield all rows.

        Raises:
            UserError: a row is malformed; the message has file and line.
        """

    def fingerprint(self) -> str:
        """Return a hash that changes when the rows change."""


@dataclass(frozen=True)
class FileSource:
    """A local TSV or JSON-lines file."""

    path: Path
    columns: tuple[str, ...]
    """Column names of a TSV file, in order."""
    renames: dict[str, str]
    """Our column name -> key in a JSON-lines file."""

    @property
    def name(self) -> str:
        return str(self.path)

    def rows(self) -> Iterator[Row]:
        with open_lines(self.path) as lines:
            yield from self.read(lines, json_lines=self.path.suffix in (".jsonl", ".json"))

    def read(self, lines: Iterable[str], *, json_lines: bool) -> Iterator[Row]:
        """Yield the rows of the given lines, each one as soon as its line is read; skip empty lines."""
        parse = self._json if json_lines else self._tsv
        for number, line in numbered(lines, self.name):
            if line.strip(" \r\n"):
                yield parse(line.rstrip("\r\n"), f"{self.path}:{number}", number - 1)

    def fingerprint(self) -> str:
        with self.path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return _hash(digest, self.renames) if self.renames else digest

    def _tsv(self, line: str, where: str, index: int) -> Row:
        cells = line.split("\t")
        values = by_position(cells, self.columns)
        if values is None:
            many = "at least " if self.columns[-1].endswith("*") else ""
            raise UserError(
                f"{where}: {len(cells)} columns; expected {many}{len(self.columns)}, "
                f"tab-separated: {join_names(self.columns)}"
            )
        return Row(complete(values, index), where)

    def _json(self, line: str, where: str, index: int) -> Row:
        try:
            values = strict_json.loads(line)
        except ValueError as error:
            raise UserError(f"{where}: not JSON: {error}") from None
        if not isinstance(values, dict):
            raise UserError(f"{where}: expected a JSON object, found {type(values).__name__}")
        return Row(_rename(values, self.renames, index, where), where)


def by_position(cells: Sequence[str], columns: Sequence[str]) -> dict[str, Any] | None:
    """Map column names to cells by position.

    If the last column name ends in ``*``, that column is the list of all remaining cells.

    Returns:
        The mapping, or None if the number of cells does not match the number of columns.
    """
    *fixed, last = columns
    many = last.endswith("*")
    if len(cells) < len(columns) or (len(cells) > len(columns) and not many):
        return None
    values: dict[str, Any] = dict(zip(fixed, cells, strict=False))
    rest = list(cells[len(fixed) :])
    return values | {last.rstrip("*"): rest if many else rest[0]}


def join_names(columns: Sequence[str]) -> str:
    """Join column names for a message: ``hypothesis*`` becomes ``hypothesis 1 .. N``."""
    return ", ".join(columns).replace("*", " 1 .. N")


@dataclass(frozen=True)
class HubSource:
    """One split of a Hugging Face dataset."""

    hub: str
    """Name on the hub, a folder of data files, or a folder written by ``save_to_disk``."""
    config: str | None
    revision: str | None
    split: str
    """Name of the split in the dataset."""
    renames: dict[str, str]
    """Our column name -> theirs."""
    label_words: bool
    """Whether to replace the ids of a ClassLabel column by the dataset's label words."""

    @property
    def name(self) -> str:
        return ":".join(filter(None, (self.hub, self.config, self.split)))

    def _dataset(self) -> Any:
        import datasets

        datasets.disable_progress_bars()
        folder = Path(self.hub)
        try:
            if (folder / "dataset_dict.json").exists() or (folder / "state.json").exists():
                loaded = datasets.load_from_disk(self.hub)
            else:
                load = partial(datasets.load_dataset, self.hub, self.config, revision=self.revision)
                loaded = load()
                if any(_is_csv(split) for split in loaded.values()):
                    # Only an empty cell is missing: NA, null and nan are texts.
                    loaded = load(keep_default_na=False, na_values=[""])
        except Exception as error:  # the library raises many types of exception
            reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
            raise UserError(f"dataset {self.hub!r} cannot be loaded: {reason}") from None
        if isinstance(
            loaded, datasets.Dataset
        ):  # saved without splits; the library names the only split train
            loaded = {"train": loaded}
        if self.split not in loaded:
            raise UserError(
                f"dataset {self.hub!r} has no split {self.split!r}; it has {', '.join(loaded)}. "
                f"In the task file, map our split names to theirs, such as "
                f"source: {{splits: {{dev: validation}}}}, or remove the split from split_names"
            )
        return loaded[self.split]

    def rows(self) -> Iterator[Row]:
        dataset = self._dataset()
        column = self.renames.get("label", "label")
        feature = dataset.features.get(column)
        hidden = _all_hidden(dataset, column)
        if hidden:
            warnings.warn(
                f"{self.name}: column {column!r} is -1 in all rows, which marks hidden labels; the "
                f"rows count as unlabelled",
                stacklevel=2,
            )
        for index, values in enumerate(dataset):
            where = f"{self.name}, row {index}"
            values = _rename(values, self.renames, index, where)
            if hidden:
                values["label"] = ""
            elif (classes := _classes(feature)) is not None:
                values["label"] = _class_names(
                    values["label"], classes if self.label_words else None
                )
            yield Row(values, where)

    def fingerprint(self) -> str:
        # The library's fingerprint covers the files and all steps applied to them.
        return _hash(self._dataset()._fingerprint, self.renames, self.label_words)


def _is_csv(dataset: Any) -> bool:
    """Whether a dataset was read from CSV files."""
    return getattr(getattr(dataset, "info", None), "builder_name", None) == "csv"


def _classes(feature: Any) -> Any:
    """Return the ClassLabel of a feature, also inside of lists of any depth; None if there is none."""
    from datasets import ClassLabel

    while not isinstance(feature, ClassLabel):
        # A list is a feature with the attribute `feature`, or a Python list of one feature.
        is_list = isinstance(feature, list) and len(feature) == 1
        feature = feature[0] if is_list else getattr(feature, "feature", None)
        if feature is None:
            return None
    return feature


def _class_names(value: Any, classes: Any) -> Any:
    """Replace class ids by their names; -1, the library's value for a missing label, becomes "".

    A list in which all labels are missing becomes "" as a whole.

    Args:
        value: an id or lists of ids, or "" for a missing label.
        classes: a ClassLabel; None leaves the ids.
    """
    if isinstance(value, (list, tuple)):
        names = [_class_names(one, classes) for one in value]
        return "" if names and all(name == "" for name in names) else names
    if value in (-1, None, ""):
        return ""
    return value if classes is None else classes.int2str(value)


def _all_hidden(dataset: Any, column: str) -> bool:
    """Whether a column of numbers is -1 in all rows, as in test splits of GLUE on the hub."""
    kind = str(getattr(dataset.features.get(column), "dtype", ""))
    is_number = kind.startswith(("int", "float")) and _classes(dataset.features[column]) is None
    return is_number and set(dataset.unique(column)) == {-1}


def _hash(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _rename(values: dict, renames: dict[str, str], index: int, where: str) -> dict[str, Any]:
    """Rename columns to our names and add a missing uid and label; see :func:`complete`."""
    renamed = {}
    for ours, theirs in renames.items():
        if theirs not in values:
            raise UserError(
                f"{where}: column {theirs!r} (for {ours!r}) is missing; "
                f"the row has {', '.join(sorted(values))}"
            )
        renamed[ours] = values[theirs]
    # In one step, because the mapping may swap two columns.
    return complete(values | renamed, index)


def complete(values: dict[str, Any], index: int) -> dict[str, Any]:
    """Add a missing uid (``idx``, else the row number) and a missing label (empty)."""
    values = dict(values)
    if values.get("uid") is None:
        values["uid"] = str(values.get("idx", index))
    if values.get("label") is None:
        values["label"] = ""
    return values


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

"""Where rows come from: canonical TSV, JSON lines, or a Hugging Face dataset."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from data_utils.formats import FORMATS, Row
from data_utils.registry import UserError
from data_utils.task_def import TaskDef


class RowSource(Protocol):
    """The raw rows of one (task, split)."""

    name: str

    def rows(self) -> Iterator[Row]:
        """Raises UserError naming file and line of a malformed row."""

    def fingerprint(self) -> str:
        """Changes when the rows do."""


@dataclass(frozen=True)
class FileSource:
    """A local file; ``columns`` are the positions of a TSV, ``renames`` ours -> the file's."""

    path: Path
    columns: tuple[str, ...]
    renames: dict[str, str]

    @property
    def name(self) -> str:
        return str(self.path)

    def rows(self) -> Iterator[Row]:
        parse = self._json if self.path.suffix == ".jsonl" else self._tsv
        try:
            # newline="\n": a text may hold \r or Unicode line separators, which end no row.
            with self.path.open(encoding="utf-8-sig", newline="\n") as lines:
                for number, line in enumerate(lines, start=1):
                    if line.strip():
                        yield parse(line.rstrip("\r\n"), f"{self.path}:{number}", number - 1)
        except UnicodeDecodeError as error:
            raise UserError(f"{self.path}: not UTF-8: {error}") from None

    def fingerprint(self) -> str:
        with self.path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    def _tsv(self, line: str, where: str, _: int) -> Row:
        cells = line.split("\t")
        *fixed, last = self.columns
        many = last.endswith("*")
        fits = len(cells) > len(fixed) if many else len(cells) == len(self.columns)
        if not fits:
            names = ", ".join(self.columns).replace("*", " 1 .. N")
            raise UserError(
                f"{where}: {len(cells)} columns; expected {'at least ' if many else ''}"
                f"{len(self.columns)}, tab-separated: {names}"
            )
        values: dict[str, Any] = dict(zip(fixed, cells, strict=False))
        values[last.rstrip("*")] = cells[len(fixed) :] if many else cells[-1]
        return Row(values, where)

    def _json(self, line: str, where: str, index: int) -> Row:
        try:
            values = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"{where}: not JSON: {error}") from None
        if not isinstance(values, dict):
            raise UserError(f"{where}: expected a JSON object, found {type(values).__name__}")
        return Row(_rename(values, self.renames, index, where), where)


@dataclass(frozen=True)
class HubSource:
    """A Hugging Face dataset: a hub name, a folder of data files, or one of ``save_to_disk``."""

    hub: str
    config: str | None
    revision: str | None
    split: str
    renames: dict[str, str]
    label_words: bool

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
                loaded = datasets.load_dataset(self.hub, self.config, revision=self.revision)
        except Exception as error:  # the library raises many kinds; all mean: not loadable
            reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
            raise UserError(f"dataset {self.hub!r} cannot be loaded: {reason}") from None
        if isinstance(loaded, datasets.Dataset):
            return loaded
        if self.split not in loaded:
            raise UserError(
                f"dataset {self.hub!r} has no split {self.split!r}; it has {', '.join(loaded)}. "
                f"Map ours to theirs in the task file: source: {{splits: {{dev: validation}}}}"
            )
        return loaded[self.split]

    def rows(self) -> Iterator[Row]:
        from datasets import ClassLabel

        dataset = self._dataset()
        label = dataset.features.get(self.renames.get("label", "label"))
        for index, values in enumerate(dataset):
            where = f"{self.name}, row {index}"
            values = _rename(values, self.renames, index, where)
            if isinstance(label, ClassLabel):
                if values["label"] is None or values["label"] < 0:  # the hub's "no label"
                    values["label"] = ""
                elif self.label_words:
                    values["label"] = label.int2str(values["label"])
            yield Row(values, where)

    def fingerprint(self) -> str:
        return str(self._dataset()._fingerprint)


def _rename(values: dict, renames: dict[str, str], index: int, where: str) -> dict[str, Any]:
    """Our column names; a row without uid gets its number, one without label gets none."""
    values = dict(values)
    for ours, theirs in renames.items():
        if theirs not in values:
            raise UserError(
                f"{where}: column {theirs!r} (for {ours!r}) is missing; "
                f"the row has {', '.join(sorted(values))}"
            )
        values[ours] = values[theirs]
    if values.get("uid") is None:
        values["uid"] = str(values.get("idx", index))
    if values.get("label") is None:
        values["label"] = ""
    return values


def find_source(task: TaskDef, split: str, data_dir: str | Path) -> RowSource | None:
    """The rows of (task, split), or None where nothing provides them.

    Without a ``source`` in the task file: ``{data_dir}/{task}_{split}.tsv``, else ``.jsonl``.
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
        path = Path(source.files[split])
        path = path if path.is_absolute() else Path(data_dir) / path
        if not path.exists():
            raise UserError(f"{task.where}: source: file {path} does not exist")
        return FileSource(path, data_format.columns, source.columns)
    for suffix in (".tsv", ".jsonl"):
        path = Path(data_dir) / f"{task.name}_{split}{suffix}"
        if path.exists():
            return FileSource(path, data_format.columns, {})
    return None

"""Look at the files of a new task, and write its task entry, its run file and its split."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from data_utils.errors import UserError
from data_utils.files import make_folder, write_text
from data_utils.names import check_name
from mt_dnn.new_task import numbers, render
from mt_dnn.new_task.check_rows import check_rows
from mt_dnn.new_task.decision import Decision
from mt_dnn.new_task.encoder_facts import EncoderFacts, read_encoder
from mt_dnn.new_task.kind import Kind, check_labels, find_kind, is_label
from mt_dnn.new_task.lengths import token_lengths
from mt_dnn.new_task.roles import Roles, find_roles
from mt_dnn.new_task.rows_file import RowsFile, read_rows_file, task_name
from mt_dnn.new_task.split import divide, write_json_lines
from mt_dnn.task_types import load_tasks


@dataclass(frozen=True)
class Request:
    """What the user gives; see the options of ``mt-dnn new-task``."""

    train: Path
    encoder: str
    dev: Path | None = None
    test: Path | None = None
    name: str | None = None
    label: str | None = None
    texts: tuple[str, ...] = ()
    out: Path = Path(".")
    seed: int = 2018
    overwrite: bool = False


def new_task(request: Request, log: Callable[[str], None] = print) -> Path:
    """Write tasks.yml, run.yml and, if needed, the rows of the splits.

    Returns:
        The path of run.yml.

    Raises:
        UserError: a file cannot be read, no column fits, or a file would be overwritten.

    Example:
        >>> from pathlib import Path
        >>> from mt_dnn.new_task.write import Request, new_task
        >>> new_task(Request(Path("rows.csv"), encoder="bert-base-uncased"))  # doctest: +SKIP
    """
    name = request.name or task_name(request.train)
    check_name(name, "--name")
    files = {"train": read_rows_file(request.train)}
    for split, path in (("dev", request.dev), ("test", request.test)):
        if path is not None:
            files[split] = read_rows_file(path)
    train = files["train"]
    roles = find_roles(train, label=request.label, texts=request.texts)
    kind = find_kind(train, roles)
    if roles.uid and not all(roles.uid in file.columns for file in files.values()):
        roles = replace(roles, uid=None)
    for split, file in files.items():
        check_rows(file, split, roles, kind)
        if split != "train":
            check_labels(file, roles.label, kind)
    encoder = read_encoder(request.encoder)
    task = _Task(request, name, files, roles, kind, encoder)
    task.check_overwrite()
    rows = task.write_rows(log)
    lengths = token_lengths(train, roles, request.encoder)
    make_folder(task.data_dir)  # paths of `source` are relative to it
    tasks, run = request.out / "tasks.yml", request.out / "run.yml"
    write_text(tasks, task.entry())
    write_text(run, task.run(rows, lengths))
    load_tasks(tasks, data_dir=task.data_dir)  # what is written must be right
    unsure = sum(
        text.count("UNSURE:") for text in (tasks.read_text("utf-8"), run.read_text("utf-8"))
    )
    log(f"{tasks}: task {name!r}, {kind.name}")
    log(
        f"{run}: a run of {rows} training rows"
        + (f"; {unsure} marked UNSURE in both files" if unsure else "")
    )
    log(f"Next: check both files, then mt-dnn train --config {run}")
    return run


@dataclass(frozen=True)
class _Task:
    """A new task, and the files to write for it."""

    request: Request
    name: str
    files: dict[str, RowsFile]
    roles: Roles
    kind: Kind
    encoder: EncoderFacts

    @property
    def data_dir(self) -> Path:
        return self.request.out / "data"

    @property
    def copies(self) -> bool:
        """Whether rows are written as JSON lines, and not read from the files of the user."""
        settings = [(file.kind, file.settings) for file in self.files.values()]
        unlabelled = any(
            not is_label(value)
            for split, file in self.files.items()
            if split != "test"
            for value in file.values(self.roles.label)
        )  # a run refuses them in train and dev; the copy leaves them out
        return "dev" not in self.files or unlabelled or any(one != settings[0] for one in settings)

    @property
    def splits(self) -> list[str]:
        """Names of the splits, also of one that is drawn."""
        return [name for name in ("train", "dev", "test") if name in self.files or name == "dev"]

    def written(self) -> list[Path]:
        """Return the paths of all files that are written."""
        rows = [self.data_dir / f"{self.name}_{split}.jsonl" for split in self.splits]
        own = [self.request.out / "tasks.yml", self.request.out / "run.yml"]
        return own + (rows if self.copies else [])

    def check_overwrite(self) -> None:
        """Check that no file is overwritten.

        Raises:
            UserError: a file is there, and ``--overwrite`` is not set.
        """
        read = {file.path.resolve() for file in self.files.values()}
        for path in self.written():
            if path.resolve() in read:
                raise UserError(
                    f"{path} is read and would be replaced by a part of its rows: choose another --name than "
                    f"{self.name!r}, or write elsewhere with --out FOLDER"
                )
        there = [str(path) for path in self.written() if path.exists()]
        if there and not self.request.overwrite:
            raise UserError(
                f"{', '.join(there)} exists already: replace it with --overwrite, or write elsewhere with "
                f"--out FOLDER"
            )

    def write_rows(self, log: Callable[[str], None]) -> int:
        """Write the rows of the splits where that is needed; return the number of training rows."""
        train = self.files["train"]
        if not self.copies:
            for file in self.files.values():
                log(f"{file.path}: {len(file.rows)} rows, read where they are")
            return len(train.rows)
        parts = {split: (file, self._labelled(split, log)) for split, file in self.files.items()}
        if "dev" not in self.files:
            known = parts["train"][1]
            texts = [[train.rows[i].get(name) for name in self.roles.texts] for i in known]
            labels = train.values(self.roles.label) if self.kind.name == "Classification" else None
            own, dev, drawn = divide(
                texts, labels and [labels[i] for i in known], seed=self.request.seed
            )
            own, dev = [known[i] for i in own], [known[i] for i in dev]
            if not dev:
                raise UserError(
                    f"{train.path}: no dev rows can be drawn from {len(train.rows)} rows, because rows with the "
                    f"same texts stay together and train keeps one of each label. Give --dev FILE, or name other "
                    f"columns with --text and --label"
                )
            parts["train"], parts["dev"] = (train, own), (train, dev)
            log(f"no --dev file: {drawn.reason}; rows with the same texts stay together")
        for split, (file, indices) in parts.items():
            path = self.data_dir / f"{self.name}_{split}.jsonl"
            count = write_json_lines(path, (self._row(file, index) for index in indices))
            log(f"{path}: {count} rows")
        return len(parts["train"][1])

    def _labelled(self, split: str, log: Callable[[str], None]) -> list[int]:
        """Return the indices of the rows with a label; of a test file, of all rows."""
        file = self.files[split]
        values = file.values(self.roles.label)
        known = [i for i, value in enumerate(values) if split == "test" or is_label(value)]
        if not known:
            raise UserError(f"{file.path}: no row has a label")
        if left := len(file.rows) - len(known):
            log(f"{file.path}: {left} rows without a label are left out")
        return known

    def _row(self, file: RowsFile, index: int) -> dict[str, Any]:
        """Return a row with our column names."""
        row = file.rows[index]
        uid = row.get(self.roles.uid) if self.roles.uid else None
        values = {"uid": str(index if uid is None else uid), "label": row.get(self.roles.label, "")}
        return values | {ours: row.get(theirs) for ours, theirs in self._texts().items()}

    def _texts(self) -> dict[str, str]:
        """Return our name of each text column -> theirs."""
        if self.kind.data_format.value == "Sequence":
            return {"tokens": self.roles.texts[0]}
        return dict(zip(("premise", "hypothesis"), self.roles.texts, strict=False))

    def entry(self) -> str:
        """Return the text of tasks.yml."""
        kind = self.kind
        number = Decision(1, "one number") if kind.labels is None else None
        splits = ["train", "dev"] if "test" not in self.files else None
        keys: dict[str, Decision | None] = {
            "data_format": kind.data_format,
            "task_type": kind.task_type,
            "n_class": number,
            "labels": kind.labels,
            "metric_meta": kind.metrics,
            "split_names": Decision(splits, "there is no test file") if splits else None,
        }
        text = render.header(
            f"Written by mt-dnn new-task from {', '.join(str(file.path) for file in self.files.values())}. "
            f"Every value may be edited; docs/task-file.md explains the keys. UNSURE marks guesses to check.",
            self._columns(),
        )
        text += "\n" + render.section(self.name, keys)
        return text if self.copies else text + self._source()

    def _columns(self) -> str:
        """Return what the columns of the train file are used for."""
        file, roles = self.files["train"], self.roles
        if file.kind == "conll":
            return f"CoNLL columns: {roles.why_label.comment}."
        return (
            f"Columns of the file: {', '.join(file.columns)}. Text: {roles.why_texts.comment}. "
            f"Label: {roles.why_label.comment}."
            + (f" Id: column {roles.uid!r}." if roles.uid else "")
            + (f" Not used: {', '.join(roles.unused)}." if roles.unused else "")
        )

    def _source(self) -> str:
        """Return the key ``source`` of the entry."""
        train = self.files["train"]
        here = Path.cwd()
        paths = {
            split: os.path.relpath(path, self.data_dir) if path.is_relative_to(here) else str(path)
            for split, path in ((name, file.path.resolve()) for name, file in self.files.items())
        }
        names = self._texts() | {"label": self.roles.label}
        names |= {"uid": self.roles.uid} if self.roles.uid else {}
        keys: dict[str, Decision | None] = {
            "files": Decision(paths, "relative to data_dir, or absolute"),
            "columns": Decision(names, "our name: name in the file"),
        }
        if train.kind == "conll":
            places = {"tokens": 1, "label": -1}
            keys["columns"] = Decision(places, "the word is the first column, the label the last")
        for key, value in train.settings.items():
            keys[key] = Decision(value, "as the first records of the file have it")
        return render.section("source", keys, indent=2)

    def run(self, rows: int, lengths: list[int]) -> str:
        """Return the text of run.yml."""
        out, encoder = self.request.out, self.encoder
        texts = len(self.roles.texts)
        words = self.kind.data_format.value == "Sequence"
        sections: dict[str, dict[str, Decision | None]] = {
            "data": {
                "tasks": Decision(str(out / "tasks.yml"), "the task entry"),
                "data_dir": Decision(
                    str(self.data_dir), "folder of the rows and of the prepared data"
                ),
                "max_seq_len": numbers.max_seq_len(lengths, encoder),
            },
            "model": {
                "encoder": Decision(encoder.name, "given by --encoder"),
                "pooling": None if words else numbers.pooling(encoder, texts=texts),
            },
            "batch": {"size": numbers.batch_size(rows)},
            "optim": {
                "lr": numbers.learning_rate(encoder),
                "head_lr": numbers.head_learning_rate(encoder),
            },
            "train": {"epochs": numbers.epochs(rows)},
        }
        text = render.header(
            f"Written by mt-dnn new-task for task {self.name!r}. Every value may be edited; a field that is not "
            f"here has its default: mt-dnn train --help.",
        )
        top = {
            "name": Decision(self.name, f"the run is written to runs/{self.name}"),
            "seed": Decision(self.request.seed, "given by --seed, or its default"),
        }
        text += "\n" + "".join(
            f"{line}\n" for key, one in top.items() for line in render.lines(key, one)
        )
        return text + "".join(render.section(name, keys) for name, keys in sections.items())

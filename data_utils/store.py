"""Token stores: tokenized examples of one (task, split) in an Arrow file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
from transformers import PreTrainedTokenizerBase

from data_utils.data_report import TEXTS
from data_utils.errors import UserError
from data_utils.files import recover, sha256
from data_utils.locks import waiting_for
from data_utils.manifest import Manifest as Manifest
from data_utils.manifest import describe as describe
from data_utils.manifest import differences, expected_manifest, read_manifest
from data_utils.names import confined
from data_utils.soft_labels import SoftLabels
from data_utils.sources import RowSource
from data_utils.store_builder import build_store
from data_utils.task_def import TaskDef
from data_utils.token_table import TokenTable


def store_folder(store_dir: Path, task: TaskDef, split: str, *, soft_hash: str = "") -> Path:
    """Return the folder of a store.

    Each file of soft labels has its own store, so that runs with and without distillation do not
    replace each other's.
    """
    suffix = f"-soft-{soft_hash[:8]}" if soft_hash else ""
    return confined(store_dir, f"{task.name}_{split}{suffix}")


def ensure_store(
    task: TaskDef,
    split: str,
    *,
    source: RowSource | None,
    tokenizer: PreTrainedTokenizerBase,
    max_seq_len: int,
    store_dir: Path,
    soft_labels: Path | None = None,
    on_stale: str = "refuse",
    log: Callable[[str], None] = lambda line: None,
) -> TaskStore:
    """Open the store of (task, split); build it if it is missing.

    A store is stale if it was made from other rows, settings, tokenizer or soft labels than those of
    this run.

    Args:
        task: the task.
        split: name of the split.
        source: source of the rows. None: use an existing store, whose settings must match.
        tokenizer: the encoder's tokenizer.
        max_seq_len: greatest length in tokens, for tasks that do not set their own.
        store_dir: folder of all stores.
        soft_labels: file of a teacher's logits, which become the column ``soft_labels``.
        on_stale: ``refuse`` raises an error for a stale store, ``rebuild`` rebuilds it.
        log: called with a one-line summary after a store is built.

    Raises:
        UserError: the store is stale and not rebuilt, there are neither rows nor a store, or rows or
            soft labels are malformed.
    """
    soft_hash = "" if soft_labels is None else sha256(soft_labels)
    folder = store_folder(store_dir, task, split, soft_hash=soft_hash)
    with waiting_for(
        folder.with_name(f".{folder.name}.lock"),
        log=log,
        busy=f"waiting for another process that prepares {folder}",
    ):
        recover(folder)
        return _ensure(
            folder,
            task,
            split,
            source=source,
            tokenizer=tokenizer,
            max_seq_len=max_seq_len,
            soft_labels=soft_labels,
            soft_hash=soft_hash,
            on_stale=on_stale,
            log=log,
        )


def _ensure(
    folder: Path,
    task: TaskDef,
    split: str,
    *,
    source: RowSource | None,
    tokenizer: PreTrainedTokenizerBase,
    max_seq_len: int,
    soft_labels: Path | None,
    soft_hash: str,
    on_stale: str,
    log: Callable[[str], None],
) -> TaskStore:
    """Open or build a store whose lock is held; see :func:`ensure_store`."""
    found = read_manifest(folder) if (folder / "manifest.json").exists() else None
    if found is None:
        _check_free(folder)
    if source is not None:
        name, source_hash = source.name, source.fingerprint()
    elif found is not None:
        name, source_hash = found.source, found.source_hash
    else:
        raise UserError(
            f"{task.where}: split {split!r} has no rows and no prepared store ({folder})"
        )
    wanted = expected_manifest(
        task,
        split,
        source=name,
        source_hash=source_hash,
        tokenizer=tokenizer,
        max_seq_len=max_seq_len,
        soft_labels=soft_hash,
    )
    if found is not None:
        stale = differences(found, wanted)
        if not stale:
            if source is None:
                log(f"{task.name}_{split}: no rows; using {folder}, prepared from {name}")
            return TaskStore(folder)
        if source is None or on_stale == "refuse":
            raise UserError(
                f"store {folder} does not fit this run:\n  "
                + "\n  ".join(stale)
                + f"\n  (made from {found.source} by tokenizer {found.tokenizer}; this run reads "
                f"{name} with {wanted.tokenizer})\n"
                + (
                    "Rebuild it with --data.on_stale rebuild, or use another --data.store_dir."
                    if source
                    else "Its rows are missing, so it cannot be rebuilt: restore them, or use another "
                    "--data.store_dir."
                )
            )
    assert source is not None
    soft = None if soft_labels is None else SoftLabels(soft_labels, task, source=source.name)
    manifest = build_store(folder, wanted, task=task, source=source, tokenizer=tokenizer, soft=soft)
    log(describe(manifest))
    store = TaskStore(folder)
    store.is_new = True
    return store


def _check_free(folder: Path) -> None:
    """Raise UserError if a new store would replace something that is not a store."""
    if not os.path.lexists(folder):
        return
    foreign = ["it is not a folder"]
    if folder.is_dir():
        foreign = sorted({path.name for path in folder.iterdir()} - {"data.arrow", TEXTS})
    if foreign:
        raise UserError(
            f"{folder} is no store and is not replaced ({', '.join(foreign)[:80]}): move it away, or use "
            f"another --data.store_dir"
        )


class TaskStore(TokenTable):
    """The store of one (task, split), opened from its folder.

    Raises:
        UserError: the manifest or the Arrow file cannot be read, or the checksum of the file is wrong.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.is_new = False
        """Whether this process built the store."""
        self.manifest = read_manifest(self.folder)
        path = self.folder / "data.arrow"
        try:
            if self.manifest.data_hash and sha256(path) != self.manifest.data_hash:
                raise OSError(f"the checksum of {path} differs from that in manifest.json")
            with pa.memory_map(str(path)) as mapped:
                table = pa.ipc.open_file(mapped).read_all()
            table.validate(full=True)  # of damaged offsets, reading would crash the process
            super().__init__(table)
        except (OSError, KeyError, AttributeError, pa.ArrowException) as error:
            raise UserError(
                f"store {self.folder} is damaged ({error}); delete it to rebuild it"
            ) from None


class StoreSubset:
    """A subset of a store's examples, with the attributes that training and evaluation use.

    Args:
        store: the store, or a subset of it.
        indices: the examples, numbered as in ``store``. For evaluation they are in order, and all
            windows of a row are among them.
    """

    def __init__(self, store: TaskStore | StoreSubset, indices: np.ndarray) -> None:
        self.store = store
        self.indices = indices
        self.manifest: Manifest = store.manifest
        self.lengths: np.ndarray = store.lengths[indices]
        windows = store.windows
        self.windows: np.ndarray | None = None if windows is None else windows[indices]
        labels = store.labels
        self.labels: np.ndarray | None = None if labels is None else labels[indices]

    def __len__(self) -> int:
        return len(self.indices)

    def take(self, indices: Iterable[int]) -> dict[str, list]:
        return self.store.take(self.indices[i] for i in indices)

"""The splits of a run's tasks that have rows, and where these are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from data_utils.errors import UserError
from data_utils.sources import RowSource, find_source
from data_utils.store import store_folder
from data_utils.task_def import ROLES, TaskDef, dataset_name, split_role
from mt_dnn.config.run import DistillConfig, RunConfig
from mt_dnn.registries import TASK_TYPES


class Split(NamedTuple):
    """A split of a task that has rows."""

    task: TaskDef
    split: str
    source: RowSource | None
    """None if only its store is there."""
    soft_labels: Path | None

    @property
    def name(self) -> str:
        """Name of the data set."""
        return dataset_name(self.task.name, self.split)

    @property
    def role(self) -> str:
        return split_role(self.split)


def splits_with_rows(
    tasks: Mapping[str, TaskDef],
    config: RunConfig,
    *,
    soft_labels: Mapping[str, Path] | None = None,
    roles: Iterable[str] = ROLES,
) -> list[Split]:
    """Find the splits that have rows or a store, without reading them.

    Args:
        soft_labels: task -> file of teacher logits to join with its train split.
        roles: the roles of the splits to find.

    Raises:
        UserError: a file that the task file names does not exist, or rows are in several files.
    """
    found, folder = [], store_dir(config)
    for task in tasks.values():
        for split in task.split_names:
            if split_role(split) in roles:
                source = find_source(task, split, config.data.data_dir)
                soft = (soft_labels or {}).get(task.name) if split_role(split) == "train" else None
                if source or soft or store_folder(folder, task, split).exists():
                    found.append(Split(task, split, source, soft))
    return found


def check_train_rows(splits: Iterable[Split], tasks: Mapping[str, TaskDef], data_dir: str) -> None:
    """Check that every train split has rows.

    Raises:
        UserError: one has none; the message names the files that it may be in.
    """
    found = {own.task.name for own in splits if own.role == "train"}
    for name, task in tasks.items():
        for split in task.splits("train"):
            if name not in found:
                raise UserError(
                    f"task {name!r} has no training rows: there is no {Path(data_dir) / name}_{split}.tsv or "
                    f".jsonl. Prepare them, or name the tasks to train: --data.use"
                )


def soft_label_files(tasks: dict[str, TaskDef], config: DistillConfig) -> dict[str, Path]:
    """Find the files of teacher logits: task -> file; empty if distillation is off.

    Raises:
        UserError: no task has a file, or a task has one and its type cannot be distilled.
    """
    if not config.is_on:
        return {}
    folder = Path(str(config.soft_labels))
    wanted = {
        name: folder / f"{name}_{split}.jsonl"
        for name, task in tasks.items()
        for split in task.splits("train")
    }
    found = {name: path for name, path in wanted.items() if path.exists()}
    if folder.is_file():
        raise UserError(
            f"distill.soft_labels: {folder} is a file; name the folder that contains "
            f"{' and '.join(path.name for path in wanted.values())}"
        )
    if not found:
        raise UserError(
            f"distill.soft_labels: none of these files exists: {', '.join(map(str, wanted.values()))}. "
            f"predict.py --what logits writes them"
        )
    able = [name for name in TASK_TYPES.names() if TASK_TYPES.get(name).kd_loss is not None]
    for name, path in found.items():
        kind = tasks[name].task_type
        if kind not in able:
            raise UserError(
                f"{tasks[name].where}: {kind} cannot be distilled; remove {path}. These types can: "
                f"{', '.join(able)}"
            )
    return found


def store_dir(config: RunConfig) -> Path:
    """The folder of the token stores: by default ``{data_dir}/store/{encoder}-{max_seq_len}``."""
    if config.data.store_dir is not None:
        return Path(config.data.store_dir)
    encoder = config.model.encoder.removeprefix("package:").rstrip("/").replace("/", "--")
    return (
        Path(config.data.data_dir) / "store" / f"{encoder.lstrip('.-')}-{config.data.token_limit}"
    )

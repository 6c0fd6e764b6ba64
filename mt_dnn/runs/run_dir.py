"""The run directory: its marker and lock, configuration, tasks and environment."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import subprocess
import sys
import uuid
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml
from filelock import BaseFileLock

from data_utils.errors import UserError
from data_utils.files import PARTIAL, REPLACED, remove, write_text
from data_utils.locks import hold
from data_utils.names import confined
from data_utils.store import Manifest
from data_utils.task_def import TaskDef
from data_utils.task_entry import KEYS
from mt_dnn.config.run import RunConfig
from mt_dnn.config.run_format import (
    EVENTS,
    EVENTS_SUFFIX,
    FORMAT,
    MARKER,
    NUMERICS,
    check_run,
    read_versioned,
    run_numerics,
)

SETUP = ("config.yml", "tasks.yml", "environment.json")
OWN = (
    *(MARKER, *SETUP, "metrics.jsonl", "timing.jsonl", "trackers.json", "nonfinite_batch.json"),
    *("scores.json", "report.html", "tensorboard", "checkpoints", "best", "best.partial"),
    *("predictions", "errors", "robustness.json"),
)
"""Names that a run writes in its folder. Only these, its event files and :func:`task_folders` are
removed. ``tensorboard`` is a folder of older versions."""
LOCK = ".lock"
PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "accelerate",
    "datasets",
    "numpy",
    "scikit-learn",
)


def check_run_dir(config: RunConfig) -> Path:
    """Check that the run may use its folder, and return the folder. Nothing is written.

    Raises:
        UserError: a run of that name exists, and neither ``resume`` nor ``overwrite`` is set; the folder
            contains files under our names that no run has written; the run has a newer format; or nothing
            can be written there.
    """
    run_dir = confined(Path(config.output_dir), config.name)
    there = next(path for path in (run_dir, *run_dir.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        what = "may not be written to" if there.is_dir() else "is not a folder"
        raise UserError(f"output_dir: {run_dir} cannot be created, because {there} {what}")
    if config.resume:
        check_run(run_dir)
    is_run = holds_run(run_dir)
    if is_run and not (config.resume or config.overwrite):
        raise UserError(
            f"{run_dir} holds a run already: continue it (--resume true), replace it "
            f"(--overwrite true), or choose another name (--name ...)"
        )
    if not is_run and (foreign := [path.name for path in _own_paths(run_dir)]):
        raise UserError(
            f"{run_dir} contains {', '.join(foreign)}, but no run ({MARKER} is missing). Nothing in it is "
            f"replaced: choose another name (--name ...) or remove them"
        )
    return run_dir


def lock_run_dir(config: RunConfig) -> BaseFileLock:
    """Check that the run may use its folder, create it if needed, and lock it.

    Nothing that is there is changed.

    Returns:
        The lock; release it when the run ends. It ends with the process in any case.

    Raises:
        UserError: as :func:`check_run_dir`, or another process has the run.
    """
    run_dir = check_run_dir(config)
    return hold(
        run_dir / LOCK,
        busy=f"{run_dir} is in use by another process; wait until it ends, or stop it",
    )


def _own_paths(run_dir: Path) -> list[Path]:
    """What is in the folder under the names that a run writes."""
    named = [run_dir / name for name in OWN if os.path.lexists(run_dir / name)]
    return [*named, *sorted(run_dir.glob(EVENTS + EVENTS_SUFFIX)), *task_folders(run_dir)]


def holds_run(run_dir: Path) -> bool:
    """Whether a folder is a run directory: it has the marker, or all files of format 1."""
    return (run_dir / MARKER).exists() or all((run_dir / name).exists() for name in SETUP)


def task_folder(run_dir: Path, task: str) -> Path:
    """The folder of a task's own best model (``train.keep_best_per_task``)."""
    return run_dir / f"best-{task}"


def task_folders(run_dir: Path) -> list[Path]:
    """Folders of the best models of single tasks that a run wrote, by name.

    The marker in mt_dnn.json distinguishes them from a copy under another name.
    """
    found = []
    for folder in sorted(run_dir.glob("best-*")):
        try:
            facts = read_versioned(folder / "mt_dnn.json")
        except UserError:
            continue
        task = facts.get("best_of")
        if isinstance(task, str) and folder.name in (
            task_folder(run_dir, task).name,
            *(f"{task_folder(run_dir, task).name}{suffix}" for suffix in (PARTIAL, REPLACED)),
        ):
            found.append(folder)
    return found


def write_setup(
    run_dir: Path,
    config: RunConfig,
    tasks: dict[str, TaskDef],
    environment: dict[str, Any],
    *,
    clear: bool = False,
) -> None:
    """Write run.json, config.yml, tasks.yml and environment.json.

    A resumed run keeps its identifier and the version of its numbers.

    Args:
        clear: start a run with a new identifier, and delete what the folder contains under our names.
            run.json records this until it is done, so that it is completed if the process is killed.
    """
    path = run_dir / MARKER
    marker = {"format": FORMAT, "numerics": NUMERICS, "mt_dnn": _own_version()}
    if clear:
        marker["id"] = uuid.uuid4().hex
        write_text(path, json.dumps(marker | {"clearing": True}, indent=2) + "\n")
        for own in _own_paths(run_dir):
            if own != path:
                remove(own)
    else:
        known = read_versioned(path) if path.exists() else {}
        marker |= {"numerics": run_numerics(run_dir)}
        marker |= {"id": known["id"]} if "id" in known else {}
    # `resume` and `overwrite` belong to one invocation; do not save them.
    config = dataclasses.replace(config, resume=False, overwrite=False)
    write_text(run_dir / "config.yml", config_yaml(config))
    write_text(run_dir / "tasks.yml", tasks_yaml(tasks))
    text = json.dumps(environment, indent=2, ensure_ascii=False)
    write_text(run_dir / "environment.json", text + "\n")
    write_text(path, json.dumps(marker, indent=2) + "\n")


def config_yaml(config: RunConfig) -> str:
    """The resolved configuration as YAML, every field included; ``train.py --config`` reads it."""
    return yaml.safe_dump(
        _yaml_value(dataclasses.asdict(config)), sort_keys=False, allow_unicode=True
    )


def tasks_yaml(tasks: dict[str, TaskDef]) -> str:
    """Task definitions as YAML for :func:`mt_dnn.task_types.load_tasks`, with canonical names."""
    entries = {}
    for task in tasks.values():
        values = dataclasses.asdict(task)
        entry = {key: values[name] for key, name in KEYS.items()}
        entry["n_class"] = task.n_class or None  # 0: not set in the task file
        entries[task.name] = {k: v for k, v in entry.items() if v not in (None, (), [], {})}
    return yaml.safe_dump(_yaml_value(entries), sort_keys=False, allow_unicode=True)


def _yaml_value(value: Any) -> Any:
    """Convert tuples to lists: plain YAML has no tuples."""
    if isinstance(value, dict):
        return {key: _yaml_value(entry) for key, entry in value.items()}
    return [_yaml_value(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def describe_environment(device: str, threads: int, manifests: list[Manifest]) -> dict[str, Any]:
    """Versions, commit, device and data fingerprints: the provenance of a run's scores."""
    return {
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "mt_dnn": _own_version(),
        "commit": _commit(),
        "platform": platform.platform(),
        "device": device,
        "threads": threads,
        "data": {
            f"{m.task}_{m.split}": {"source": m.source, "sha256": m.source_hash, "rows": m.rows}
            | ({"soft_labels": m.soft_labels} if m.soft_labels else {})
            for m in manifests
        },
    }


def _own_version() -> str | None:
    """The installed version of mt-dnn; None in a checkout that is not installed."""
    try:
        return version("mt-dnn")
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The commit of the code, marked if files are modified; None outside a git checkout."""

    def git(*words: str) -> str:
        folder = Path(__file__).parent
        done = subprocess.run(
            ["git", *words], cwd=folder, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    try:
        # An installed package may lie inside a repository of the user's, which does not track it.
        git("ls-files", "--error-unmatch", Path(__file__).name)
        return git("describe", "--always", "--dirty", "--abbrev=12")
    except (OSError, subprocess.CalledProcessError):
        return None

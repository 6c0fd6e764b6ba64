"""The run directory: configuration, tasks, environment and the best model."""

from __future__ import annotations

import dataclasses
import json
import platform
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerBase

from data_utils.errors import UserError
from data_utils.files import atomic_folder
from data_utils.store import Manifest
from data_utils.task_def import TaskDef
from data_utils.task_file import KEYS
from mt_dnn.config.run import ModelConfig, RunConfig
from mt_dnn.config.run_format import FORMAT, MARKER, NUMERICS, check_run, read_versioned
from mt_dnn.model import MTDNN
from mt_dnn.runs.model_card import model_card

HOW_TO_LOAD = (
    "The encoder loads with `AutoModel.from_pretrained`; encoder and heads with `mt_dnn.load`, which "
    "predicts by task name."
)
PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "accelerate",
    "datasets",
    "numpy",
    "scikit-learn",
)


def open_run_dir(config: RunConfig) -> Path:
    """Create the run's folder, or open (``resume``) or replace (``overwrite``) an existing one.

    Raises:
        UserError: a run of that name exists, and neither ``resume`` nor ``overwrite`` is set; or the run to
            resume has a newer format.
    """
    run_dir = Path(config.output_dir) / config.name
    if config.resume:
        check_run(run_dir)
    elif any((run_dir / name).exists() for name in (MARKER, "config.yml")):  # format 1: no marker
        if not config.overwrite:
            raise UserError(
                f"{run_dir} holds a run already: continue it (--resume true), replace it "
                f"(--overwrite true), or choose another name (--name ...)"
            )
        shutil.rmtree(run_dir)
    run_dir.mkdir(parents=True, exist_ok=True)
    return run_dir


def write_setup(
    run_dir: Path, config: RunConfig, tasks: dict[str, TaskDef], environment: dict[str, Any]
) -> None:
    """Write run.json, config.yml, tasks.yml and environment.json."""
    marker = json.dumps(
        {"format": FORMAT, "numerics": NUMERICS, "mt_dnn": _own_version()}, indent=2
    )
    (run_dir / MARKER).write_text(marker + "\n", encoding="utf-8")
    # `resume` and `overwrite` belong to one invocation; do not save them.
    config = dataclasses.replace(config, resume=False, overwrite=False)
    (run_dir / "config.yml").write_text(config_yaml(config), encoding="utf-8")
    (run_dir / "tasks.yml").write_text(tasks_yaml(tasks), encoding="utf-8")
    text = json.dumps(environment, indent=2, ensure_ascii=False)
    (run_dir / "environment.json").write_text(text + "\n", encoding="utf-8")


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


def save_model_folder(
    folder: Path,
    *,
    model: MTDNN,
    tokenizer: PreTrainedTokenizerBase,
    config: RunConfig,
    step: int,
    scores: dict[str, dict[str, Any]],
) -> None:
    """Write the model of a run with its step, scores and model card."""
    facts = {
        "model": dataclasses.asdict(config.model),
        "max_seq_len": config.data.max_seq_len,
        "step": step,
        "scores": scores,
    }
    if config.plugins:
        facts["plugins"] = list(config.plugins)
    card = model_card(
        config.name,
        f"One shared encoder, started from `{config.model.encoder}`, with a head for each of: "
        f"{', '.join(model.tasks)}. Seed {config.seed}, update {step}, preset {config.smart}.",
        use=HOW_TO_LOAD,
        scores=scores,
    )
    write_model_folder(folder, model=model, tokenizer=tokenizer, facts=facts, card=card)


def write_model_folder(
    folder: Path,
    *,
    model: MTDNN,
    tokenizer: PreTrainedTokenizerBase,
    facts: dict[str, Any],
    card: str,
) -> None:
    """Write the encoder in Hugging Face layout and the heads beside it, all or nothing.

    ``AutoModel.from_pretrained(folder)`` loads the shared encoder; :func:`mt_dnn.load` loads encoder
    and heads.

    Args:
        facts: content of mt_dnn.json; :func:`read_model_facts` needs ``model`` and ``max_seq_len``.
        card: content of README.md.
    """
    with atomic_folder(folder) as aside:
        model.encoder.save_pretrained(aside)
        tokenizer.save_pretrained(aside)
        heads = {name: tensor.contiguous() for name, tensor in model.heads.state_dict().items()}
        save_file(heads, aside / "heads.safetensors")
        (aside / "tasks.yml").write_text(tasks_yaml(model.tasks), encoding="utf-8")
        text = json.dumps({"format": FORMAT} | facts, indent=2)
        (aside / "mt_dnn.json").write_text(text + "\n", encoding="utf-8")
        (aside / "README.md").write_text(card, encoding="utf-8")


def model_folder(run: str | Path) -> Path:
    """The folder of a run's best model. ``run`` may also be that folder itself.

    Raises:
        UserError: there is no such folder, or it has a newer format.
    """
    run = Path(run)
    check_run(run)
    for folder in (run / "best", run):
        if (folder / "mt_dnn.json").exists():
            _read_facts(folder)
            return folder
    raise UserError(
        f"{run} is not a finished run: it has no best/mt_dnn.json. Name a run directory, or its best/ "
        f"folder"
    )


def read_model_facts(folder: Path) -> tuple[ModelConfig, int]:
    """A saved model's head settings and the max_seq_len of its training."""
    facts = _read_facts(folder)
    return ModelConfig(**facts["model"]), int(facts["max_seq_len"])


def read_plugins(folder: Path) -> tuple[str, ...]:
    """The plugins that a saved model was trained with, as module names."""
    return tuple(_read_facts(folder).get("plugins", ()))


def read_scores(folder: Path) -> dict[str, dict[str, Any]]:
    """A saved model's dev scores: data set -> metric -> score; empty if it was never evaluated."""
    return dict(_read_facts(folder).get("scores", {}))


def _read_facts(folder: Path) -> dict[str, Any]:
    return read_versioned(folder / "mt_dnn.json")


def load_best(folder: Path, model: MTDNN) -> None:
    """Load a saved model's weights into the model that was saved, in place.

    Raises:
        UserError: the weights do not fit.
    """
    model.encoder.load_weights(folder)
    load_heads(folder, model, strict=True)


def load_heads(folder: Path, model: MTDNN, *, strict: bool) -> tuple[list[str], list[str]]:
    """Copy saved head weights into ``model``.

    Returns:
        The names of the heads that were loaded, and of those that keep their own weights.

    Raises:
        UserError: ``strict`` is set and a head is missing or has another shape.
    """
    saved = load_file(folder / "heads.safetensors")
    taken, fresh = [], []
    for name, head in model.heads.items():
        own = head.state_dict()
        weights = {key: saved.get(f"{name}.{key}") for key in own}
        if all(w is not None and w.shape == own[key].shape for key, w in weights.items()):
            head.load_state_dict(weights)
            taken.append(name)
        else:
            fresh.append(name)
    if strict and fresh:
        raise UserError(
            f"{folder}: heads.safetensors does not fit tasks.yml: head {', '.join(fresh)} is missing or "
            f"has another shape"
        )
    return taken, fresh

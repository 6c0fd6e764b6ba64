"""A model on disk: encoder in Hugging Face layout, heads, tasks and facts beside it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from data_utils import strict_json
from data_utils.errors import UserError, shown
from data_utils.files import atomic_folder, write_text
from mt_dnn.config.bounds import check_section
from mt_dnn.config.options import parse_section
from mt_dnn.config.run import ModelConfig, RunConfig
from mt_dnn.config.run_format import FORMAT, check_run, read_versioned
from mt_dnn.encoders.adapters import FOLDER as ADAPTER
from mt_dnn.encoders.pretrained import check_finite
from mt_dnn.model import MTDNN
from mt_dnn.runs.adapter_base import name_base
from mt_dnn.runs.model_card import model_card
from mt_dnn.runs.run_dir import tasks_yaml

HOW_TO_LOAD = (
    "The encoder loads with `AutoModel.from_pretrained`; encoder and heads with `mt_dnn.load`, which "
    "predicts by task name."
)


def save_model_folder(
    folder: Path,
    *,
    model: MTDNN,
    tokenizer: PreTrainedTokenizerBase,
    config: RunConfig,
    step: int,
    scores: dict[str, dict[str, Any]],
    best_of: str | None = None,
    keep_as: Path | None = None,
) -> None:
    """Write the model of a run with its step, scores and model card.

    Args:
        best_of: the task whose best model it is; None for the best model of the run.
        keep_as: where the model that it replaces is moved; None deletes it.
    """
    facts = {
        "model": dataclasses.asdict(config.model),
        "max_seq_len": config.data.token_limit,
        "step": step,
        "scores": scores,
    }
    if config.plugins:
        facts["plugins"] = list(config.plugins)
    if best_of is not None:
        facts["best_of"] = best_of
    card = _card(config, list(model.tasks), step=step, scores=scores, best_of=best_of)
    write_model_folder(
        folder, model=model, tokenizer=tokenizer, facts=facts, card=card, keep_as=keep_as
    )


def write_scores(
    folder: Path,
    *,
    config: RunConfig,
    tasks: Iterable[str],
    scores: dict[str, dict[str, Any]],
    test: Collection[str],
) -> None:
    """Replace the scores of a saved model, and its card, by those of the end of the run.

    Args:
        tasks: names of the tasks of the model.
        scores: data set -> metric -> score, of dev and test sets.
        test: names of the test sets.
    """
    facts = _read_facts(folder) | {
        "scores": {name: own for name, own in scores.items() if name not in test},
        "test_scores": {name: scores[name] for name in test},
    }
    card = _card(config, list(tasks), step=facts["step"], scores=scores, test=test)
    write_text(folder / "mt_dnn.json", _facts_text(facts))
    write_text(folder / "README.md", card)


def _card(
    config: RunConfig,
    tasks: list[str],
    *,
    step: int,
    scores: dict[str, dict[str, Any]],
    test: Collection[str] = (),
    best_of: str | None = None,
) -> str:
    chosen = "" if best_of is None else f" The best model for {best_of}."
    if config.model.adapter is not None:
        chosen += f" Trained as an adapter ({config.model.adapter}), merged; adapter/ has it alone, for PEFT."
    return model_card(
        config.name,
        f"One shared encoder, started from `{config.model.encoder}`, with a head for each of: "
        f"{', '.join(tasks)}. Seed {config.seed}, update {step}, preset {config.smart}.{chosen}",
        use=HOW_TO_LOAD,
        scores=scores,
        test=test,
    )


def _facts_text(facts: dict[str, Any]) -> str:
    return strict_json.dumps({"format": FORMAT} | facts, indent=2) + "\n"


def write_model_folder(
    folder: Path,
    *,
    model: MTDNN,
    tokenizer: PreTrainedTokenizerBase,
    facts: dict[str, Any],
    card: str,
    keep_as: Path | None = None,
) -> None:
    """Write the encoder in Hugging Face layout and the heads beside it, all or nothing.

    ``AutoModel.from_pretrained(folder)`` loads the shared encoder; :func:`mt_dnn.load` loads encoder
    and heads.

    Args:
        facts: content of mt_dnn.json; :func:`read_model_facts` needs ``model`` and ``max_seq_len``.
        card: content of README.md.
        keep_as: where a model that it replaces is moved; None deletes it.
    """
    with atomic_folder(folder, keep_as=keep_as) as aside:
        model.encoder.save_pretrained(aside)
        name_base(aside / ADAPTER, str(facts["model"]["encoder"]))
        tokenizer.save_pretrained(aside)
        heads = {name: tensor.contiguous() for name, tensor in model.heads.state_dict().items()}
        save_file(heads, aside / "heads.safetensors")
        write_text(aside / "tasks.yml", tasks_yaml(model.tasks))
        write_text(aside / "mt_dnn.json", _facts_text(facts))
        write_text(aside / "README.md", card)


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
    wrong = f"{folder}/mt_dnn.json is damaged"
    model, length = facts.get("model"), facts.get("max_seq_len")
    if not isinstance(model, dict) or type(length) is not int or length < 1:
        raise UserError(f"{wrong}: expected the keys model and max_seq_len, a positive number")
    config = parse_section(ModelConfig, model, wrong)
    check_section("model", config, f"{wrong}: ")
    return config, length


def read_plugins(folder: Path) -> tuple[str, ...]:
    """The plugins that a saved model was trained with, as module names."""
    plugins = _read_facts(folder).get("plugins", [])
    if not isinstance(plugins, list) or not all(isinstance(name, str) for name in plugins):
        raise UserError(
            f"{folder}/mt_dnn.json is damaged: plugins: {shown(plugins):.60} is not a list of modules"
        )
    return tuple(plugins)


def read_step(folder: Path) -> int | None:
    """The update of a saved model; None if the folder is missing or not readable."""
    if not (folder / "mt_dnn.json").exists():
        return None
    try:
        step = _read_facts(folder).get("step")
    except UserError:
        return None
    return step if type(step) is int else None


def read_scores(folder: Path) -> dict[str, dict[str, Any]]:
    """A saved model's dev scores: data set -> metric -> score; empty if it was never evaluated.

    A score that is not finite is None. Older versions wrote it as Infinity.

    Raises:
        UserError: mt_dnn.json is damaged.
    """
    scores = _read_facts(folder).get("scores", {})
    if not isinstance(scores, dict) or not all(isinstance(own, dict) for own in scores.values()):
        raise UserError(
            f"{folder}/mt_dnn.json is damaged: scores: {shown(scores):.60} is not data set: metric: score"
        )
    return {
        name: {
            metric: None if isinstance(value, float) and not math.isfinite(value) else value
            for metric, value in own.items()
        }
        for name, own in scores.items()
    }


def read_test_scores(folder: Path) -> dict[str, dict[str, Any]]:
    """A saved model's test scores, as :func:`read_scores`; empty before the end of its run."""
    return dict(_read_facts(folder).get("test_scores", {}))


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
    path = folder / "heads.safetensors"
    try:
        saved = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{path} is missing or damaged ({error}); restore the file or train a new run"
        ) from None
    check_finite(saved, str(path))
    taken, fresh = [], []
    for name, head in model.heads.items():
        own = head.state_dict()
        weights = {key: saved.get(f"{model.heads.prefix(name)}{key}") for key in own}
        if all(w is not None and w.shape == own[key].shape for key, w in weights.items()):
            head.load_state_dict(weights)
            taken.append(name)
        else:
            fresh.append(name)
    if strict and fresh:
        raise UserError(
            f"{folder}: heads.safetensors does not fit tasks.yml: head {', '.join(fresh)} is missing or "
            f"has another shape{_first_difference(saved, model, fresh[0])}"
        )
    return taken, fresh


def _first_difference(saved: Mapping[str, Tensor], model: MTDNN, name: str) -> str:
    """Say in which weight the saved head ``name`` differs from that of the model."""
    prefix, own = model.heads.prefix(name), model.heads[name].state_dict()
    if not any(key.startswith(prefix) for key in saved):
        return "; the file has the heads of " + ", ".join(sorted({k.split(".")[0] for k in saved}))
    for key, weight in own.items():
        given = saved.get(f"{prefix}{key}")
        if given is None:
            return f": the file lacks {prefix}{key}"
        if given.shape != weight.shape:
            return f": {prefix}{key} is {tuple(given.shape)} in the file, and {tuple(weight.shape)} by tasks.yml"
    return ""

"""Average the weights of runs: ``mt-dnn average --run runs/a runs/b --out soup``.

A model soup (Wortsman et al. 2022, arXiv 2203.05482) is the mean of the weights of several runs that
were fine-tuned from the same pretrained encoder with different seeds or hyperparameters. It often scores
higher than the best of them, and costs no more than a single model. ``--checkpoints`` averages the step
checkpoints of one run instead.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_utils.errors import UserError
from data_utils.flags import FlagParser
from data_utils.outputs import check_out
from data_utils.plugins import add_plugins_flag

if TYPE_CHECKING:  # --help needs no torch
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

    from mt_dnn.config.run import ModelConfig
    from mt_dnn.model import MTDNN

State = dict[str, "Tensor"]
TASK_FIELDS = ("data_format", "task_type", "n_class", "labels", "enable_san", "head")
"""Fields in which the tasks of the models must agree. How they were trained may differ."""
PROVENANCE = ("_name_or_path", "transformers_version", "architectures", "dtype")
"""Keys of an encoder's config that describe its origin, not what it computes."""


def average(
    runs: list[str],
    out: str,
    *,
    checkpoints: bool = False,
    overwrite: bool = False,
    plugins: Sequence[str] = (),
) -> list[str]:
    """Write a model folder with the mean of the runs' weights, of the encoder and of the heads.

    The weights of a run with an adapter are the merged ones, because the mean of products B A is not the
    product of the means.

    mt_dnn.load and --model.init_from read the folder. Task settings, tokenizer and maximal sequence
    length are those of the first run. The folder has no scores; its mt_dnn.json lists the averaged
    folders under ``averaged``.

    Args:
        runs: run directories, or their ``best`` folders; with ``checkpoints`` one run directory.
        out: the folder to write.
        checkpoints: average the step checkpoints that the run has kept (at most ``train.keep``).
        overwrite: replace ``out`` if it is a model folder.
        plugins: modules to import first; see :func:`mt_dnn.load`.

    Returns:
        The folders that were averaged.

    Raises:
        UserError: a run does not exist, there are fewer than two models, ``out`` is not free, or the
            models differ in more than their weights; the message names the difference.
    """
    folder = check_out(out, overwrite=overwrite, runs=runs)
    if checkpoints and len(runs) != 1:
        raise UserError("--checkpoints averages the checkpoints of one run; give --run one folder")
    if not checkpoints and len(runs) < 2:
        raise UserError(
            "--run: give at least two runs, or add --checkpoints to average those of one run"
        )

    # Imported after the arguments are checked, because these modules load torch.
    from mt_dnn.runs.model_card import model_card
    from mt_dnn.runs.model_folder import (
        HOW_TO_LOAD,
        model_folder,
        read_model_facts,
        read_plugins,
        write_model_folder,
    )
    from mt_dnn.training.checkpoint_folders import checkpoint_folders

    sources = [model_folder(run) for run in runs]
    model, tokenizer = _load(sources[0], plugins)
    config, max_seq_len = read_model_facts(sources[0])
    if checkpoints:
        sources = checkpoint_folders(Path(runs[0]))
        if len(sources) < 2:
            raise UserError(
                f"{runs[0]} has {len(sources)} checkpoints, but at least two are needed; set "
                f"train.save_every and train.keep when training"
            )
        vessel, _ = _load(model_folder(runs[0]), plugins)
        states = _states_of_checkpoints(sources, vessel, config)
    else:
        states = _states_of_runs(sources, plugins)
    names = [str(source) for source in sources]
    model.load_state_dict(mean(zip(names, states, strict=True)))
    facts = {"model": dataclasses.asdict(config), "max_seq_len": max_seq_len, "averaged": names}
    if needed := read_plugins(model_folder(runs[0])):
        facts["plugins"] = list(needed)
    card = model_card(
        folder.name,
        f"The mean of the weights of {len(names)} models: one shared encoder with a head for each of: "
        f"{', '.join(model.tasks)}. Started from `{config.encoder}`. mt_dnn.json lists the models.",
        use=HOW_TO_LOAD,
    )
    write_model_folder(folder, model=model, tokenizer=tokenizer, facts=facts, card=card)
    return names


def mean(states: Iterable[tuple[str, State]]) -> State:
    """Mean of each tensor, in the tensor's own type. Sums are float64, so equal tensors are unchanged.

    Args:
        states: pairs of a name for messages and the tensors by name.

    Raises:
        UserError: the states differ in their tensor names or shapes, or in an integer tensor, which
            cannot be averaged.
    """
    import torch

    total: State = {}
    types: dict[str, torch.dtype] = {}
    count, first = 0, ""
    for name, state in states:
        if not count:
            first = name
            types = {key: tensor.dtype for key, tensor in state.items()}
            total = {
                key: tensor.to(
                    torch.float64 if tensor.is_floating_point() else tensor.dtype, copy=True
                )
                for key, tensor in state.items()
            }
        else:
            _check_tensors(total, state, first, name)
            for key, tensor in state.items():
                if tensor.is_floating_point():
                    total[key] += tensor
        count += 1
    return {
        key: (tensor / count).to(types[key]) if tensor.is_floating_point() else tensor
        for key, tensor in total.items()
    }


def _check_tensors(total: State, state: State, first: str, name: str) -> None:
    import torch

    if odd := sorted(total.keys() ^ state.keys()):
        where = first if odd[0] in total else name
        raise UserError(f"{first} and {name} differ: only {where} has {odd[0]}")
    for key, tensor in state.items():
        shapes = tuple(total[key].shape), tuple(tensor.shape)
        if shapes[0] != shapes[1]:
            raise UserError(
                f"{first} and {name} differ: {key} has shape {shapes[0]} and {shapes[1]}"
            )
        if not tensor.is_floating_point() and not torch.equal(total[key], tensor):
            raise UserError(
                f"{first} and {name} differ in {key}, which holds integers and cannot be averaged"
            )


def _states_of_runs(folders: Sequence[Path], plugins: Sequence[str]) -> Iterator[State]:
    """Yield the weights of each run; raise UserError if the runs cannot be averaged."""
    own: dict[str, Any] = {}
    for folder in folders:
        model, tokenizer = _load(folder, plugins)
        facts = _facts(model, tokenizer, folder)
        own = own or facts
        for key in own | facts:
            if (one := own.get(key)) != (other := facts.get(key)):
                raise UserError(
                    f"{folders[0]} and {folder} differ in more than their weights: {key}: "
                    f"{one!r} and {other!r}"
                )
        yield model.state_dict()


def _states_of_checkpoints(
    folders: Sequence[Path], vessel: MTDNN, config: ModelConfig
) -> Iterator[State]:
    """Yield the weights of each checkpoint, loaded into ``vessel``; those of an adapter merged."""
    from safetensors.torch import load_model

    from mt_dnn.encoders.adapters import adapted

    vessel.encoder = adapted(vessel.encoder, config)
    for folder in folders:
        try:
            load_model(vessel, folder / "model.safetensors")
        except RuntimeError as error:
            raise UserError(f"{folder} does not fit the run's model: {error}") from None
        heads = vessel.heads.state_dict(prefix="heads.")
        yield heads | {f"encoder.model.{n}": w for n, w in vessel.encoder.weights().items()}


def _load(run: Path, plugins: Sequence[str]) -> tuple[MTDNN, PreTrainedTokenizerBase]:
    from mt_dnn.inference.predictor import load
    from mt_dnn.model import MTDNN

    predictor = load(run, plugins=plugins)
    assert isinstance(predictor.model, MTDNN)  # of one run
    return predictor.model, predictor.tokenizer


def _facts(model: MTDNN, tokenizer: PreTrainedTokenizerBase, folder: Path) -> dict[str, Any]:
    """Everything but the weights that determines a model's outputs, in order of comparison."""
    from data_utils.manifest import tokenizer_hash
    from mt_dnn.runs.model_folder import read_model_facts

    config, _ = read_model_facts(folder)
    facts: dict[str, Any] = {"tasks": sorted(model.tasks)}
    for name, task in model.tasks.items():
        facts |= {f"task {name!r}: {field}": getattr(task, field) for field in TASK_FIELDS}
        facts[f"task {name!r}: pooling"] = task.pooling or config.pooling
        facts[f"task {name!r}: layers"] = task.layers or config.layers
        facts[f"task {name!r}: actf"] = task.activation or config.activation
    facts["tokenizer"] = tokenizer_hash(tokenizer)[:12]
    facts |= {
        f"encoder's {key}": value
        for key, value in model.encoder.config.to_dict().items()
        if key not in PROVENANCE and "drop" not in key
    }
    # The pretrained pooler is not trained: if it differs, the runs started from different encoders.
    pooler = model.encoder.pooler_weights()
    digest = pooler and hashlib.sha256(b"".join(part.numpy().tobytes() for part in pooler))
    facts["pretrained pooler"] = digest and digest.hexdigest()[:12]
    return facts


def main(args: Sequence[str] | None = None, *, prog: str = "mt-dnn average") -> None:
    """Average as the arguments describe; ``args`` defaults to those of the process."""
    parser = FlagParser(
        prog=prog,
        description="Average the weights of runs, or of one run's checkpoints, into one model.",
    )
    add = parser.add_argument
    add("--run", required=True, nargs="+", help="Run directories, or their best/ folders.")
    add("--out", required=True, help="Folder to write.")
    add(
        "--checkpoints",
        action="store_true",
        help="Average the step checkpoints that one run has kept (at most train.keep).",
    )
    add("--overwrite", action="store_true", help="Replace --out if it is a model folder.")
    add_plugins_flag(parser)
    options = parser.parse_args(args)
    names = average(
        options.run,
        options.out,
        checkpoints=options.checkpoints,
        overwrite=options.overwrite,
        plugins=options.plugins,
    )
    print("\n".join(["averaged:", *(f"  {name}" for name in names), f"written: {options.out}"]))

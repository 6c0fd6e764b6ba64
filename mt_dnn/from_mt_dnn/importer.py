"""Import a checkpoint of MT-DNN: ``mt-dnn import --checkpoint model.pt ...``.

What such a file holds (namisan/mt-dnn, SANBertNetwork; it changed from release to release):

* ``bert.*``: the shared encoder, a transformers model of any architecture.
* ``scoring_list.{i}.*``: the head of task i, a linear layer or a stochastic answer network.
* The dense layer on the first token that a linear head stands on: the encoder's (``bert.pooler``),
  one for all heads (``pooler.dense``) or one per head (``scoring_list.{i}.0.dense``); the last of
  these that is there counts.

Heads of ours have a dense layer each, so a shared one is copied into all. A stochastic answer network
there is another function than :class:`mt_dnn.heads.san.SANHead` (its W_2 has a bias, and its first state
reads the first sentence): it is not taken over.
"""

from __future__ import annotations

import dataclasses
import json
import re
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal, get_args

from data_utils.errors import UserError
from data_utils.registry import choices_hint
from data_utils.task_def import TaskDef
from mt_dnn.from_mt_dnn.import_report import ImportReport, shortened

if TYPE_CHECKING:  # --help needs no torch
    from torch import Tensor, nn

    from mt_dnn.encoders.encoder import Encoder

Activation = Literal["tanh", "gelu", "relu", "identity"]
LAYOUTS = {
    frozenset({"weight", "bias"}): (None, ""),
    frozenset({"1.weight", "1.bias"}): (None, "1."),  # 0 is a dropout
    frozenset({"0.dense.weight", "0.dense.bias", "1.weight", "1.bias"}): ("0.dense.", "1."),
}
"""Keys of a head -> where its own dense layer and its output layer are."""
SHARED_POOLERS = ("pooler.dense.", "bert.pooler.dense.", "bert.pooler.")  # the last is ALBERT's
BUFFERS = re.compile(r"\.(position_ids|token_type_ids)$")


@dataclass(frozen=True)
class HeadSource:
    """Where a linear head of MT-DNN is: prefixes of keys, and what follows the dense layer."""

    output: str
    pooler: str | None
    activation: str


def import_checkpoint(
    checkpoint: str,
    tasks: str,
    encoder: str,
    out: str,
    use: str | None = None,
    max_seq_len: int = 512,
    pooler_activation: Activation | None = None,
) -> ImportReport:
    """Write a model folder that mt_dnn.load and --model.init_from read; say what became of every key.

    Args:
        checkpoint: MT-DNN's .pt file.
        tasks: Task file; MT-DNN's own will do.
        encoder: What MT-DNN started from, for configuration and tokenizer: hub name, local folder or
            package:NAME.
        out: Folder to write. Its import_report.json has every key.
        use: Names of the tasks in the order of scoring_list, separated by commas. Left out: the order of
            training that the checkpoint remembers, else that of the task file.
        max_seq_len: Longest sequence in tokens.
        pooler_activation: What follows MT-DNN's own dense layer (the encoder's has tanh). Left out: what its
            settings say, else tanh. Some releases applied none, whatever the settings said: identity.
    """
    target, path = Path(out), Path(checkpoint)
    if target.exists():
        raise UserError(f"--out: {out} exists; choose another folder")
    if not path.is_file():
        raise UserError(f"--checkpoint: there is no file {checkpoint}")

    # After parsing: --help needs no torch.
    import torch

    from mt_dnn.config.run import DataConfig, ModelConfig, RunConfig
    from mt_dnn.encoders.pretrained import load_tokenizer
    from mt_dnn.from_mt_dnn.checkpoint_file import read_checkpoint
    from mt_dnn.model import MTDNN
    from mt_dnn.runs.run_dir import save_model_folder
    from mt_dnn.task_types import load_tasks

    report = ImportReport()
    state, settings = read_checkpoint(path, report)
    chosen = choose_tasks(load_tasks(tasks), use, settings, report)
    sources = head_sources(state, chosen, settings, pooler_activation)
    for name, source in sources.items():  # the file's own words give way to what was trained
        activation = {"tanh": None, "identity": "none"}.get(source.activation, source.activation)
        chosen[name] = dataclasses.replace(chosen[name], pooling=None, activation=activation)
    poolers = {source.pooler or "bert." for source in sources.values()}
    if pooler_activation is None and not all(name.startswith("bert.") for name in poolers):
        report.notes.append(
            "some releases of MT-DNN had no activation on a dense layer of its own, whatever the "
            "settings said: where scores are off, try --pooler_activation identity"
        )
    tokenizer = load_tokenizer(encoder)
    bert = read_encoder(state, encoder, max_seq_len, report)
    config = RunConfig(
        name=target.name,
        data=DataConfig(tasks=tasks, max_seq_len=max_seq_len),
        model=ModelConfig(encoder=encoder, pooling="cls", activation="tanh"),
    )
    with torch.random.fork_rng(devices=[]):  # heads are drawn before they are read
        model = MTDNN(bert, dict(chosen), config.model, tokenizer)
    for name, task in chosen.items():
        if not read_head(model.heads[task.head_name], task, sources.get(name), state, report):
            del model.heads[task.head_name], model.tasks[name]  # nothing random is written
    used = set(report.used)
    report.used = [key for key in state if key in used]
    for key in state:
        if key not in used:
            (report.expected if BUFFERS.search(key) else report.unused).append(key)
    save_model_folder(target, model=model, tokenizer=tokenizer, config=config, step=0, scores={})
    text = json.dumps(dataclasses.asdict(report), indent=2, ensure_ascii=False)
    (target / "import_report.json").write_text(text + "\n", encoding="utf-8")
    return report


def choose_tasks(
    tasks: dict[str, TaskDef], use: str | None, settings: dict[str, Any], report: ImportReport
) -> dict[str, TaskDef]:
    """The tasks in the order of scoring_list, which is that of MT-DNN's ``--train_datasets``.

    Raises:
        UserError: a name that the task file lacks, or a head that is named twice.
    """
    datasets = settings.get("train_datasets") or []
    datasets = datasets.split(",") if isinstance(datasets, str) else datasets
    trained = list(dict.fromkeys(name.split("_")[0] for name in datasets))
    names = [name.strip() for name in use.split(",")] if use else trained or list(tasks)
    for name in names:
        if name not in tasks:
            where = "--use" if use else "the checkpoint was trained on it (name others with --use)"
            raise UserError(f"{where}: --tasks has no task {name!r}.{choices_hint(name, tasks)}")
    heads = [tasks[name].head_name for name in names]
    if len(set(heads)) < len(heads):
        twice = max(heads, key=heads.count)
        raise UserError(f"head {twice!r} is that of several tasks; the checkpoint has one for each")
    if trained and names != trained:
        report.notes.append(f"the checkpoint says that it was trained on {', '.join(trained)}")
    return {name: tasks[name] for name in names}


def head_sources(
    state: dict[str, Tensor],
    tasks: dict[str, TaskDef],
    settings: dict[str, Any],
    pooler_activation: Activation | None,
) -> dict[str, HeadSource]:
    """Where each task's head is; a task without a linear head there is left out.

    Raises:
        UserError: another number of heads than of tasks, or an activation that we lack.
    """
    keys: dict[int, set[str]] = {}
    for key in state:
        if match := re.match(r"scoring_list\.(\d+)\.(.+)", key):
            keys.setdefault(int(match[1]), set()).add(match[2])
    count = max(keys, default=-1) + 1
    if count and count != len(tasks):
        raise UserError(
            f"the checkpoint has {count} heads, and there are {len(tasks)} tasks: "
            f"{', '.join(tasks)}. Name its own, in the order of scoring_list, with --use"
        )
    shared = next((prefix for prefix in SHARED_POOLERS if f"{prefix}weight" in state), None)
    sources = {}
    for i, (name, task) in enumerate(tasks.items()):
        own, output = LAYOUTS.get(frozenset(keys.get(i, ())), (None, None))
        if output is None:
            continue
        pooler = f"scoring_list.{i}.{own}" if own else shared
        activation = "tanh"
        if pooler and not pooler.startswith("bert."):
            said = task.activation if own else settings.get("pooler_actf")
            activation = str(pooler_activation or said or "tanh")
        if activation not in (known := ("tanh", "gelu", "relu", "identity")):
            raise UserError(
                f"the checkpoint's pooler has {activation!r}; say what comes nearest to it with "
                f"--pooler_activation.{choices_hint(activation, known)}"
            )
        sources[name] = HeadSource(f"scoring_list.{i}.{output}", pooler, activation)
    return sources


def read_encoder(
    state: dict[str, Tensor], name: str, max_seq_len: int, report: ImportReport
) -> Encoder:
    """The encoder of the checkpoint, in the configuration of ``name``.

    Raises:
        UserError: the configuration is not found, or has weights that the checkpoint lacks or has in
            another shape, or fewer positions than ``max_seq_len``.
    """
    import torch
    from safetensors.torch import save_file
    from transformers import AutoConfig

    from mt_dnn.encoders.encoder import Encoder, load_encoder
    from mt_dnn.encoders.pretrained import load_errors, quiet, resolve_encoder

    with quiet(), load_errors(name, "encoder"):
        source = resolve_encoder(name)
        config = AutoConfig.from_pretrained(source)
    with torch.device("meta"):  # names and shapes alone
        model = Encoder.from_config(config).model
    own = model.state_dict()
    keys = {_modern(key): key for key in state if key.startswith("bert.")}
    # Tied weights count once, under the first of their names.
    needed = [key for key, _ in (*model.named_parameters(), *model.named_buffers()) if key in own]
    if missing := [key for key in needed if key not in keys]:
        raise UserError(
            f"the checkpoint lacks {len(missing)} of the {len(needed)} weights of encoder {name!r}, "
            f"which would stay random: {shortened([f'bert.{key}' for key in missing])}"
        )
    odd = [
        f"bert.{key} {tuple(state[old].shape)}, not {tuple(own[key].shape)}"
        for key, old in keys.items()
        if key in own and state[old].shape != own[key].shape
    ]
    if odd:
        raise UserError(f"the checkpoint has another encoder than {name!r}: {shortened(odd)}")
    positions = getattr(config, "max_position_embeddings", None)
    if positions is not None and max_seq_len > positions:
        raise UserError(
            f"--max_seq_len: {max_seq_len} is more than the {positions} positions of {name}"
        )
    taken = {key: old for key, old in keys.items() if key in own or key.startswith("pooler.")}
    with TemporaryDirectory() as folder:
        config.save_pretrained(folder)
        # Cloned: safetensors refuses tensors that share memory, as tied weights do.
        copies = {key: state[old].clone() for key, old in taken.items()}
        save_file(copies, Path(folder) / "model.safetensors", metadata={"format": "pt"})
        encoder = load_encoder(folder)
    encoder.source = str(source)  # that folder is gone
    has_pooler = encoder.pooler_weights() is not None
    report.used += [old for key, old in taken.items() if key in own or has_pooler]
    return encoder


def _modern(key: str) -> str:
    """The encoder's own name of a key; until 2019 LayerNorm had gamma and beta."""
    name = key.removeprefix("bert.").replace("LayerNorm.gamma", "LayerNorm.weight")
    return name.replace("LayerNorm.beta", "LayerNorm.bias")


def read_head(
    head: nn.Module,
    task: TaskDef,
    source: HeadSource | None,
    state: dict[str, Tensor],
    report: ImportReport,
) -> bool:
    """Copy the checkpoint's head into ``head``; False where it has none of this kind.

    Raises:
        UserError: it has another size.
    """
    from mt_dnn.heads.pooled import CandidateHead, PooledHead

    inner = head.scorer if isinstance(head, CandidateHead) else head
    own, pooled = inner.state_dict(), isinstance(inner, PooledHead)
    prefixes = {"output.": source.output} if source else {}
    if source and source.pooler and pooled:
        prefixes["pooler.0."] = source.pooler
    keys = {o + kind: t + kind for o, t in prefixes.items() for kind in ("weight", "bias")}
    found = {key: state[theirs].float() for key, theirs in keys.items()}
    if source and source.activation == "identity" and pooled:
        # Two linear maps in a row are one, and so is our head without an activation.
        dense, bias = found.pop("pooler.0.weight"), found.pop("pooler.0.bias")
        found["output.bias"] = found["output.bias"] + found["output.weight"] @ bias
        found["output.weight"] = found["output.weight"] @ dense
    if source is None or found.keys() != own.keys():
        report.heads[task.name] = "new: the checkpoint has no head of this kind for it"
        report.missing += [f"{task.head_name}.{key}" for key in head.state_dict()]
        return False
    if any(tensor.shape != own[key].shape for key, tensor in found.items()):
        raise UserError(
            f"task {task.name!r} has {len(own['output.bias'])} outputs (n_class: {task.n_class}), "
            f"{source.output}* in the checkpoint has {len(found['output.bias'])}; --use says whose is whose"
        )
    inner.load_state_dict(found)
    on = f" on {source.pooler}*, {source.activation}" if source.pooler and pooled else ""
    report.heads[task.name] = f"{source.output}*{on}"
    report.used += keys.values()
    return True


def main(args: Sequence[str] | None = None, *, prog: str = "mt-dnn import") -> None:
    """Import as the arguments describe; ``args`` defaults to those of the process."""
    parser = ArgumentParser(
        prog=prog, description="Import a checkpoint of MT-DNN.", allow_abbrev=False
    )
    add = parser.add_argument
    add("--checkpoint", required=True, help="MT-DNN's .pt file.")
    add("--tasks", required=True, help="Task file; MT-DNN's own file works.")
    add(
        "--encoder",
        required=True,
        help="The encoder that MT-DNN started from, for configuration and tokenizer: hub name, local "
        "folder or package:NAME.",
    )
    add("--out", required=True, help="Folder to write. Its import_report.json lists every key.")
    add(
        "--use",
        help="Names of the tasks in the order of scoring_list, separated by commas. Default: the order "
        "of training stored in the checkpoint, else that of the task file.",
    )
    add("--max_seq_len", type=int, default=512, help="Longest sequence in tokens. Default: 512.")
    add(
        "--pooler_activation",
        choices=get_args(Activation),
        help="Activation after MT-DNN's own dense layer (the encoder's has tanh). Default: what the "
        "checkpoint's settings name, else tanh. Some releases applied none, whatever their settings: "
        "identity.",
    )
    values = vars(parser.parse_args(args))
    print("\n".join([*import_checkpoint(**values).lines(), f"written: {values['out']}"]))

"""Import a checkpoint of MT-DNN: ``mt-dnn import --checkpoint model.pt ...``.

Contents of such a file (namisan/mt-dnn, SANBertNetwork; they differ between releases):

* ``bert.*``: the shared encoder, a transformers model of any architecture.
* ``scoring_list.{i}.*``: the head of task i, a linear layer or a stochastic answer network.
* The dense layer on the first token, below a linear head: that of the encoder (``bert.pooler``), one
  for all heads (``pooler.dense``) or one per head (``scoring_list.{i}.0.dense``). If several are
  present, the last of them in this list is used.

Each of our heads has its own dense layer, so a shared one is copied into all heads. A stochastic answer
network is not imported, because it computes another function than :class:`mt_dnn.heads.san.SANHead`: its
W_2 has a bias, and its first state reads the first sentence.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, get_args

from data_utils.errors import UserError
from data_utils.files import write_text
from data_utils.flags import FlagParser, whole_number
from data_utils.task_def import TaskDef
from mt_dnn.from_mt_dnn.heads import Activation, head_sources, read_head
from mt_dnn.from_mt_dnn.import_report import ImportReport, shortened

if TYPE_CHECKING:  # --help needs no torch
    from torch import Tensor

    from mt_dnn.encoders.encoder import Encoder

BUFFERS = re.compile(r"\.(position_ids|token_type_ids)$")


def import_checkpoint(
    checkpoint: str,
    tasks: str,
    encoder: str,
    out: str,
    use: str | None = None,
    max_seq_len: int | None = None,
    pooler_activation: Activation | None = None,
) -> ImportReport:
    """Write a model folder for mt_dnn.load and --model.init_from, and report on every key.

    Args:
        checkpoint: MT-DNN's .pt file.
        tasks: Task file; MT-DNN's own task files work too.
        encoder: Pretrained encoder that MT-DNN started from, for configuration and tokenizer: hub name,
            local folder or package:NAME.
        out: Folder to write. Its import_report.json lists every key.
        use: Names of the tasks in the order of scoring_list, separated by commas. Default: the training
            order stored in the checkpoint, else the order of the task file.
        max_seq_len: Maximal sequence length in tokens. Default: 512, or the positions of the encoder if it
            has fewer.
        pooler_activation: Activation after MT-DNN's own dense layer (the encoder's pooler has tanh).
            Default: the activation in the checkpoint's settings, else tanh. Some releases ignored the
            setting and applied none; use identity for them.

    Raises:
        UserError: ``out`` exists, a file is missing or invalid, or checkpoint, tasks and encoder do not
            fit together.
    """
    target, path = Path(out), Path(checkpoint)
    if target.exists():
        raise UserError(f"--out: {out} exists; choose another folder")
    if not path.is_file():
        raise UserError(f"--checkpoint: file {checkpoint} does not exist")

    # Imported after the arguments are parsed, so that --help does not load torch.
    import torch

    from mt_dnn.config.run import MAX_SEQ_LEN, DataConfig, ModelConfig, RunConfig
    from mt_dnn.encoders.architecture import check_lengths
    from mt_dnn.encoders.pretrained import load_tokenizer
    from mt_dnn.from_mt_dnn.checkpoint_file import read_checkpoint
    from mt_dnn.model import MTDNN
    from mt_dnn.runs.model_folder import save_model_folder

    report = ImportReport()
    state, settings = read_checkpoint(path, report)
    chosen = choose_tasks(tasks, use, settings, report)
    sources = head_sources(state, chosen, settings, pooler_activation)
    for name, source in sources.items():  # the trained activation overrides the task file's
        activation = {"tanh": None, "identity": "none"}.get(source.activation, source.activation)
        chosen[name] = dataclasses.replace(chosen[name], pooling=None, activation=activation)
    poolers = {source.pooler or "bert." for source in sources.values()}
    if pooler_activation is None and not all(name.startswith("bert.") for name in poolers):
        report.notes.append(
            "some releases of MT-DNN applied no activation after their own dense layer and ignored the "
            "setting; if the scores are too low, try --pooler_activation identity"
        )
    tokenizer = load_tokenizer(encoder)
    bert = read_encoder(state, encoder, report)
    if max_seq_len is None:
        max_seq_len = min(MAX_SEQ_LEN, bert.positions or MAX_SEQ_LEN)
    check_lengths(chosen, max_seq_len, bert.positions, encoder, setting="--max_seq_len")
    config = RunConfig(
        name=target.name,
        data=DataConfig(tasks=tasks, max_seq_len=max_seq_len),
        model=ModelConfig(encoder=encoder, pooling="cls", activation="tanh"),
    )
    with torch.random.fork_rng(devices=[]):  # initializing the heads uses the global generator
        model = MTDNN(bert, dict(chosen), config.model, tokenizer)
    for name, task in chosen.items():
        if not read_head(model.heads[task.head_name], task, sources.get(name), state, report):
            del model.heads[task.head_name], model.tasks[name]  # never write random weights
    used = set(report.used)
    report.used = [key for key in state if key in used]
    for key in state:
        if key not in used:
            (report.expected if BUFFERS.search(key) else report.unused).append(key)
    save_model_folder(target, model=model, tokenizer=tokenizer, config=config, step=0, scores={})
    text = json.dumps(dataclasses.asdict(report), indent=2, ensure_ascii=False)
    write_text(target / "import_report.json", text + "\n")
    return report


def choose_tasks(
    task_file: str, use: str | None, settings: dict[str, Any], report: ImportReport
) -> dict[str, TaskDef]:
    """Select the tasks, in the order of scoring_list (that of MT-DNN's ``--train_datasets``).

    Raises:
        UserError: the task file lacks a task, the entry of one is malformed, or two tasks share a head.
    """
    from mt_dnn.task_types import load_tasks  # imports torch; --help should be fast

    datasets = settings.get("train_datasets") or []
    datasets = datasets.split(",") if isinstance(datasets, str) else datasets
    trained = list(dict.fromkeys(name.split("_")[0] for name in datasets))
    names = [name.strip() for name in use.split(",")] if use else trained
    where = "--use" if use else "the checkpoint was trained on it (set others with --use)"
    chosen = load_tasks(task_file, names, where=f"{where}: --tasks")
    heads = [chosen[name].head_name for name in names or chosen]
    if len(set(heads)) < len(heads):
        twice = max(heads, key=heads.count)
        raise UserError(
            f"head {twice!r} belongs to several tasks, but the checkpoint has one head for each task; "
            f"give each task its own head"
        )
    if trained and list(chosen) != trained:
        report.notes.append(f"according to the checkpoint it was trained on {', '.join(trained)}")
    # MT-DNN's heads read the last layer.
    return {name: dataclasses.replace(task, layers=None) for name, task in chosen.items()}


def read_encoder(state: dict[str, Tensor], name: str, report: ImportReport) -> Encoder:
    """Load the encoder of the checkpoint, with the configuration of the encoder ``name``.

    Raises:
        UserError: the configuration is not found, or the checkpoint lacks weights or has other shapes.
    """
    import torch
    from safetensors.torch import save_file
    from transformers import AutoConfig

    from mt_dnn.encoders.encoder import Encoder
    from mt_dnn.encoders.load import load_encoder
    from mt_dnn.encoders.pretrained import load_errors, quiet, resolve_encoder

    with quiet(), load_errors(name, "encoder"):
        source = resolve_encoder(name)
        config = AutoConfig.from_pretrained(source)
    with torch.device("meta"):  # only names and shapes are needed
        model = Encoder.from_config(config).model
    own = model.state_dict()
    keys = {_modern(key): key for key in state if key.startswith("bert.")}
    # Tied weights are listed once, under their first name.
    needed = [key for key, _ in (*model.named_parameters(), *model.named_buffers()) if key in own]
    if missing := [key for key in needed if key not in keys]:
        raise UserError(
            f"the checkpoint lacks {len(missing)} of the {len(needed)} weights of encoder {name!r}, "
            f"which would remain random: {shortened([f'bert.{key}' for key in missing])}"
        )
    odd = [
        f"bert.{key} {tuple(state[old].shape)}, not {tuple(own[key].shape)}"
        for key, old in keys.items()
        if key in own and state[old].shape != own[key].shape
    ]
    if odd:
        raise UserError(
            f"the shapes in the checkpoint are not those of encoder {name!r}: {shortened(odd)}"
        )
    taken = {key: old for key, old in keys.items() if key in own or key.startswith("pooler.")}
    with TemporaryDirectory() as folder:
        config.save_pretrained(folder)
        # Clone, because safetensors rejects tensors that share memory, as tied weights do.
        copies = {key: state[old].clone() for key, old in taken.items()}
        save_file(copies, Path(folder) / "model.safetensors", metadata={"format": "pt"})
        encoder = load_encoder(folder)
    encoder.source = str(source)  # not the temporary folder
    has_pooler = encoder.pooler_weights() is not None
    report.used += [old for key, old in taken.items() if key in own or has_pooler]
    return encoder


def _modern(key: str) -> str:
    """Name of a key in the encoder. Until 2019 LayerNorm's parameters were gamma and beta."""
    name = key.removeprefix("bert.").replace("LayerNorm.gamma", "LayerNorm.weight")
    return name.replace("LayerNorm.beta", "LayerNorm.bias")


def main(args: Sequence[str] | None = None, *, prog: str = "mt-dnn import") -> None:
    """Import as the arguments describe; ``args`` defaults to those of the process."""
    parser = FlagParser(prog=prog, description="Import a checkpoint of MT-DNN.")
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
    add(
        "--max_seq_len",
        type=whole_number(8),
        help="Longest sequence in tokens. Default: 512, or the positions of the encoder if it has fewer.",
    )
    add(
        "--pooler_activation",
        choices=get_args(Activation),
        help="Activation after MT-DNN's own dense layer (the encoder's has tanh). Default: what the "
        "checkpoint's settings name, else tanh. Some releases applied none, whatever their settings: "
        "identity.",
    )
    values = vars(parser.parse_args(args))
    print("\n".join([*import_checkpoint(**values).lines(), f"written: {values['out']}"]))

"""The heads of a checkpoint of MT-DNN: where they are, and how they are copied into ours."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from data_utils.errors import UserError
from data_utils.registry import choices_hint
from data_utils.task_def import TaskDef
from mt_dnn.from_mt_dnn.import_report import ImportReport

if TYPE_CHECKING:  # --help needs no torch
    from torch import Tensor, nn

Activation = Literal["tanh", "gelu", "relu", "identity"]
LAYOUTS = {
    frozenset({"weight", "bias"}): (None, ""),
    frozenset({"1.weight", "1.bias"}): (None, "1."),  # 0 is a dropout
    frozenset({"0.dense.weight", "0.dense.bias", "1.weight", "1.bias"}): ("0.dense.", "1."),
}
"""Keys of a head -> prefixes of its own dense layer, if any, and of its output layer."""
SHARED_POOLERS = ("pooler.dense.", "bert.pooler.dense.", "bert.pooler.")  # the last is ALBERT's


@dataclass(frozen=True)
class HeadSource:
    """Key prefixes of a linear head of MT-DNN, and the activation after its dense layer."""

    output: str
    pooler: str | None
    activation: str


def head_sources(
    state: dict[str, Tensor],
    tasks: dict[str, TaskDef],
    settings: dict[str, Any],
    pooler_activation: Activation | None,
) -> dict[str, HeadSource]:
    """Locate each task's head in the checkpoint; tasks without a linear head are left out.

    Raises:
        UserError: the numbers of heads and tasks differ, or an activation is not supported.
    """
    keys: dict[int, set[str]] = {}
    for key in state:
        if match := re.match(r"scoring_list\.(\d+)\.(.+)", key):
            keys.setdefault(int(match[1]), set()).add(match[2])
    count = max(keys, default=-1) + 1
    if count and count != len(tasks):
        raise UserError(
            f"the checkpoint has {count} heads, but there are {len(tasks)} tasks: "
            f"{', '.join(tasks)}. Name the checkpoint's tasks, in the order of scoring_list, with --use"
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
            setting = task.activation if own else settings.get("pooler_actf")
            activation = str(pooler_activation or setting or "tanh")
        if activation not in (known := ("tanh", "gelu", "relu", "identity")):
            raise UserError(
                f"the checkpoint's pooler has {activation!r}, which is not supported; choose a similar "
                f"activation with --pooler_activation.{choices_hint(activation, known)}"
            )
        sources[name] = HeadSource(f"scoring_list.{i}.{output}", pooler, activation)
    return sources


def read_head(
    head: nn.Module,
    task: TaskDef,
    source: HeadSource | None,
    state: dict[str, Tensor],
    report: ImportReport,
) -> bool:
    """Copy the checkpoint's head into ``head``; return False if it has no head of this kind.

    Raises:
        UserError: the checkpoint's head has another size.
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
        # Without an activation our head has no dense layer: merge the two linear maps into one.
        dense, bias = found.pop("pooler.0.weight"), found.pop("pooler.0.bias")
        found["output.bias"] = found["output.bias"] + found["output.weight"] @ bias
        found["output.weight"] = found["output.weight"] @ dense
    if source is None or found.keys() != own.keys():
        report.heads[task.name] = "new: the checkpoint has no such head for this task"
        report.missing += [f"{task.head_name}.{key}" for key in head.state_dict()]
        return False
    if any(tensor.shape != own[key].shape for key, tensor in found.items()):
        raise UserError(
            f"task {task.name!r} has {len(own['output.bias'])} outputs (n_class: {task.n_class}), but "
            f"{source.output}* in the checkpoint has {len(found['output.bias'])}; assign heads to tasks "
            f"with --use"
        )
    inner.load_state_dict(found)
    on = f" on {source.pooler}*, {source.activation}" if source.pooler and pooled else ""
    report.heads[task.name] = f"{source.output}*{on}"
    report.used += keys.values()
    return True

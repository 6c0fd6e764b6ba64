"""The registries of task types, divergences, loss terms, trackers, and the parts of the training loop.

To add a built-in kind, write its file and add a line here. Code outside of this project registers its
kinds with ``@TASK_TYPES.register("name")`` and is named by the setting ``plugins``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from data_utils.registries import FORMATS, METRICS, MIXINGS
from data_utils.registry import Registry

if TYPE_CHECKING:  # importing this module must stay cheap
    from mt_dnn.divergences import Divergence
    from mt_dnn.heads.windows import Merge
    from mt_dnn.objective.terms import LossTerm
    from mt_dnn.robustness.challenge import ReadChallenge
    from mt_dnn.robustness.perturbation import Perturbation
    from mt_dnn.task_types.base import TaskType
    from mt_dnn.tracking.tracker import Tracker
    from mt_dnn.training.gradients import Combination
    from mt_dnn.training.optimizers import BuildOptimizer
    from mt_dnn.training.schedule import Schedule

TASK_TYPES: Registry[type[TaskType]] = Registry(
    "task_type",
    {
        "Classification": "mt_dnn.task_types.classification:Classification",
        "ClozeChoice": "mt_dnn.task_types.cloze_choice:ClozeChoice",
        "HNN": "mt_dnn.task_types.hnn:HNN",
        "MaskLM": "mt_dnn.task_types.mask_lm:MaskLM",
        "MultiLabel": "mt_dnn.task_types.multi_label:MultiLabel",
        "MultipleChoice": "mt_dnn.task_types.multiple_choice:MultipleChoice",
        "Ranking": "mt_dnn.task_types.ranking:Ranking",
        "Regression": "mt_dnn.task_types.regression:Regression",
        "SequenceGeneration": "mt_dnn.task_types.sequence_generation:SequenceGeneration",
        "SequenceLabeling": "mt_dnn.task_types.sequence_labeling:SequenceLabeling",
        "Span": "mt_dnn.task_types.span:Span",
        "SpanYN": "mt_dnn.task_types.span:SpanYN",
    },
    aliases={
        "SeqenceGeneration": "SequenceGeneration",
        "SeqenceLabeling": "SequenceLabeling",
        "SpanClassification": "Span",
        "SpanClassificationYN": "SpanYN",
    },
    adapt="mt_dnn.task_types.base:check_type",
)

DIVERGENCES: Registry[Divergence] = Registry(
    "divergence",
    {
        name: f"mt_dnn.divergences:{name}"
        for name in (
            *("symmetric_kl", "kl", "js", "hellinger", "squared_error", "mean_squared_error"),
            *("bernoulli_symmetric_kl", "bernoulli_kl", "bernoulli_js", "bernoulli_hellinger"),
        )
    },
    aliases={
        "SymKlCriterion": "symmetric_kl",
        "NsSymKlCriterion": "symmetric_kl",
        "KlCriterion": "kl",
        "NsKlCriterion": "kl",
        "JSCriterion": "js",
        "HLCriterion": "hellinger",
        "mse": "squared_error",
        "MseCriterion": "squared_error",
    },
    adapt="mt_dnn.divergences:check_divergence",
)

MERGES: Registry[Merge] = Registry(
    "merge of windows", {name: f"mt_dnn.heads.windows:{name}" for name in ("mean", "max")}
)

LOSS_TERMS: Registry[Callable[..., LossTerm]] = Registry(
    "loss term", adapt="mt_dnn.objective.terms:check_term"
)
"""Terms for the setting ``terms``. The supervised, smoothness and proximal terms have settings of their own."""

OPTIMIZERS: Registry[BuildOptimizer] = Registry(
    "optimizer",
    {name: f"mt_dnn.training.optimizers:{name}" for name in ("adamw", "adamax", "radam", "sgd")},
)

SCHEDULES: Registry[Schedule] = Registry(
    "schedule",
    {
        name: f"mt_dnn.training.schedule:{name}"
        for name in ("linear", "cosine", "polynomial", "constant")
    },
)

ADAPTERS: Registry[Callable[..., Any]] = Registry(
    "adapter", {"lora": "mt_dnn.encoders.adapters:lora"}
)
"""Adapters of a frozen encoder: functions that configure a method of PEFT."""

COMBINATIONS: Registry[Combination] = Registry(
    "gradient combination",
    {
        "sum": "mt_dnn.training.gradients:sum_gradients",
        "pcgrad": "mt_dnn.training.gramian_weights:PCGrad",
        "cagrad": "mt_dnn.training.gramian_weights:CAGrad",
        "imtl_g": "mt_dnn.training.gramian_weights:IMTLG",
        "mgda": "mt_dnn.training.gramian_weights:MGDA",
        "upgrad": "mt_dnn.training.gramian_weights:UPGrad",
        "aligned_mtl": "mt_dnn.training.gramian_weights:AlignedMTL",
    },
)

TRACKERS: Registry[type[Tracker]] = Registry(
    "tracker",
    {
        "jsonl": "mt_dnn.tracking.jsonl:JsonLines",
        "tensorboard": "mt_dnn.tracking.tensorboard:TensorBoard",
        "aim": "mt_dnn.tracking.accelerate_tracker:Aim",
        "clearml": "mt_dnn.tracking.accelerate_tracker:ClearML",
        "comet_ml": "mt_dnn.tracking.accelerate_tracker:Comet",
        "dvclive": "mt_dnn.tracking.accelerate_tracker:DVCLive",
        "mlflow": "mt_dnn.tracking.accelerate_tracker:MLflow",
        "swanlab": "mt_dnn.tracking.accelerate_tracker:SwanLab",
        "trackio": "mt_dnn.tracking.accelerate_tracker:Trackio",
        "wandb": "mt_dnn.tracking.accelerate_tracker:Wandb",
    },
    adapt="mt_dnn.tracking.tracker:check_tracker",
)

PERTURBATIONS: Registry[Perturbation] = Registry(
    "perturbation",
    {
        name: f"mt_dnn.robustness.{module}:{name}"
        for module, names in {
            "typos": ("swap_letters", "drop_letter", "repeat_letter", "neighbour_key"),
            "words": ("lower", "upper", "drop_words"),
            "punctuation": ("remove_punctuation", "add_punctuation"),
            "contractions": ("expand_contractions", "contract"),
        }.items()
        for name in names
    },
    adapt="mt_dnn.robustness.perturbation:check_perturbation",
)

CHALLENGES: Registry[ReadChallenge] = Registry(
    "challenge set",
    {
        "hans": "mt_dnn.robustness.hans:read_hans",
        "advglue": "mt_dnn.robustness.advglue:read_advglue",
    },
)

REGISTRIES: tuple[Registry[Any], ...] = (
    *(FORMATS, METRICS, MIXINGS, TASK_TYPES, DIVERGENCES, MERGES),
    *(LOSS_TERMS, ADAPTERS, OPTIMIZERS, SCHEDULES, COMBINATIONS, TRACKERS),
    *(PERTURBATIONS, CHALLENGES),
)
"""All registries, also those of data_utils."""

"""Convert a task's encoder and head to one model of transformers, and check that the outputs agree.

transformers has one head class for each architecture and use. If our head computes the same function,
its weights are copied under the names of that class; otherwise the conversion fails. :data:`LAYERS`
lists the supported heads.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_MAPPING

from data_utils.collator import Batch
from data_utils.errors import UserError
from data_utils.task_def import TaskDef
from mt_dnn.encoders.encoder import Encoder
from mt_dnn.encoders.pretrained import quiet
from mt_dnn.encoders.sparse_attention import has_global_attention
from mt_dnn.heads.pooled import ACTIVATIONS, CandidateHead, PooledHead, TokenHead
from mt_dnn.model import MIX, MTDNN

SEQUENCE = "AutoModelForSequenceClassification"
CHOICE = "AutoModelForMultipleChoice"
TOKEN = "AutoModelForTokenClassification"
ANSWER = "AutoModelForQuestionAnswering"

TOLERANCE = 1e-5
"""Allowed difference, relative to the largest logit. Sums in another order round differently in float32."""


@dataclass(frozen=True)
class Layers:
    """Module names of a head of transformers: first token -> ``dense`` -> activation -> ``output``."""

    output: str
    dense: str | None = None
    """None: the head is ``output`` alone, applied to every token."""
    activation: str | None = None
    """The fixed activation; None if ``setting`` selects it, or if there is no dense layer."""
    setting: str | None = None
    """Key of the model's config that selects the activation; every activation is then possible."""


_Heads = dict[str, Layers]
_TOKENS: _Heads = {TOKEN: Layers("classifier"), ANSWER: Layers("qa_outputs")}


def _pooled(dense: str, activation: str | None = None, *, setting: str | None = None) -> _Heads:
    """Heads of an architecture that has the same head for sequences and for multiple choice."""
    layers = Layers("classifier", dense, activation, setting)
    return {SEQUENCE: layers, CHOICE: layers, **_TOKENS}


_ROBERTA: _Heads = {
    SEQUENCE: Layers("classifier.out_proj", "classifier.dense", "tanh"),
    CHOICE: Layers("classifier", "roberta.pooler.dense", "tanh"),
    **_TOKENS,
}
LAYERS: dict[str, _Heads] = {
    "albert": _pooled("albert.pooler", "tanh"),
    "bert": _pooled("bert.pooler.dense", "tanh"),
    "camembert": _ROBERTA,
    "deberta-v2": _pooled("pooler.dense", setting="pooler_hidden_act"),
    "distilbert": _pooled("pre_classifier", "relu"),
    "electra": {
        SEQUENCE: Layers("classifier.out_proj", "classifier.dense", "gelu"),
        CHOICE: Layers("classifier", "sequence_summary.summary", setting="summary_activation"),
        **_TOKENS,
    },
    "mpnet": _ROBERTA | {CHOICE: Layers("classifier", "mpnet.pooler.dense", "tanh")},
    "roberta": _ROBERTA,
    "t5": {TOKEN: Layers("classifier")},  # its other heads read the decoder
    "xlm-roberta": _ROBERTA,
}
"""``model_type`` -> auto class -> its head; taken from the modeling files of transformers 5."""


def build_auto_model(model: MTDNN, task: str) -> PreTrainedModel:
    """Build the transformers model of a task in float32, with the task's labels in its config.

    Raises:
        UserError: transformers has no equivalent head; the message names the setting that prevents it.
    """
    definition, encoder = model.tasks[task], model.encoder
    name = model.task_types[task].auto_model
    if name is None:
        raise _refused(definition, f"task_type {definition.task_type}")
    if definition.windows is not None:
        raise _refused(definition, "windows; models of transformers read one sequence per example")
    kind = encoder.config.model_type
    if name not in LAYERS.get(kind, {}):
        known = ", ".join(k for k, heads in LAYERS.items() if name in heads)
        raise _refused(definition, f"encoder {kind}; {name} has the same head on: {known}")
    layers = LAYERS[kind][name]
    dense, activation, output = _linear_layers(model.heads[definition.head_name], definition)
    possible = tuple(ACTIVATIONS) if layers.setting else (layers.activation,)
    if layers.dense is not None and activation not in possible:
        setting = f"actf {activation} (or model.activation of the run)"
        raise _refused(
            definition, f"{setting}; {name} of {kind} has {' or '.join(map(str, possible))}"
        )
    config = copy.deepcopy(encoder.config)
    config.update(_settings(definition, output.out_features))
    if name == SEQUENCE:
        config.update({"problem_type": model.task_types[task].problem_type})
    if layers.setting:
        config.update({layers.setting: activation})
    with torch.random.fork_rng(devices=[]), quiet():
        built = getattr(transformers, name).from_config(config, dtype=torch.float32)
    weights = {f"{built.base_model_prefix}.{k}": v for k, v in encoder.model.state_dict().items()}
    for prefix, layer in ((layers.dense, dense), (layers.output, output)):
        if layer is not None:
            weights |= {f"{prefix}.{k}": v for k, v in layer.state_dict().items()}
    try:
        built.load_state_dict(weights)
    except RuntimeError as error:
        raise _refused(definition, " ".join(str(error).split())) from None
    return built.eval()


def _settings(task: TaskDef, count: int) -> dict[str, Any]:
    """Config entries for a head of ``count`` outputs, with their label names if the task has them."""
    if len(task.labels) != count:
        return {"num_labels": count}
    ids = {label: index for index, label in enumerate(task.labels)}
    return {"num_labels": count, "id2label": dict(enumerate(task.labels)), "label2id": ids}


def _linear_layers(
    head: nn.Module, task: TaskDef
) -> tuple[nn.Linear | None, str | None, nn.Linear]:
    """Dense layer and activation of a head, or None, and its output layer.

    Raises:
        UserError: the head is of another kind, or does not read the first token.
    """
    if hasattr(head, MIX):
        setting = "layers scalar_mix (or model.layers of the run)"
        raise _refused(task, f"{setting}; heads of transformers read the last layer")
    head = head.scorer if isinstance(head, CandidateHead) else head
    if isinstance(head, TokenHead):
        return None, None, head.output
    if not isinstance(head, PooledHead):
        setting = "enable_san" if task.enable_san else f"its head, {type(head).__name__}"
        raise _refused(task, setting)
    if head.pooling != "cls":
        setting = f"pooling {head.pooling} (or model.pooling of the run)"
        raise _refused(task, f"{setting}; heads of transformers read the first token, cls")
    if not len(head.pooler):
        return None, "none", head.output
    dense, activation = head.pooler
    assert isinstance(dense, nn.Linear)
    names = {module: name for name, module in ACTIVATIONS.items()}
    return dense, names[type(activation)], head.output


def _refused(task: TaskDef, setting: str) -> UserError:
    return UserError(
        f"task {task.name!r} has no counterpart in transformers: {setting}. Load the run with "
        f"mt_dnn.load instead"
    )


_GLOBAL = (
    ", which lets the first token attend to all, because transformers leaves that choice to each call. The "
    "run's folder best/ is the encoder already: load it by AutoModel.from_pretrained, and pass a "
    "global_attention_mask that is 1 at the first token"
)


def encoder_class(encoder: Encoder) -> str:
    """Name of the auto class that loads an exported encoder; encoder-decoders need their own."""
    own = MODEL_MAPPING.get(type(encoder.config), None) is type(encoder.model)
    return "AutoModel" if own else "AutoModelForTextEncoding"


@torch.inference_mode()
def check_encoder(folder: Path, model: MTDNN) -> None:
    """Check that an exported encoder and the run's give bitwise equal embeddings.

    Raises:
        UserError: the embeddings differ.
    """
    batch = probe(model.encoder, next(iter(model.tasks)))
    expected = model.layer(model.embed(batch), batch, -1)
    loaded = _load(encoder_class(model.encoder), folder)
    found = loaded(**_inputs(batch, model.encoder)).last_hidden_state
    if not torch.equal(found, expected):
        raise UserError(
            f"{type(loaded).__name__} gives other embeddings than the run's encoder"
            f"{_GLOBAL if has_global_attention(loaded) else ''}. Nothing is written; "
            f"load the run with mt_dnn.load, or use mt-dnn predict"
        )


@torch.inference_mode()
def check_task(folder: Path, model: MTDNN, task: str) -> None:
    """Check that an exported task and the run's give the same logits, up to :data:`TOLERANCE`.

    Logits at padding tokens are not compared.

    Raises:
        UserError: the logits differ, or their shapes do.
    """
    batch = probe(model.encoder, task)
    expected = model.infer(batch)
    name = str(model.task_types[task].auto_model)
    inputs = _inputs(batch, model.encoder)
    if name == CHOICE:
        assert batch.candidate_mask is not None
        inputs = {k: v.unflatten(0, batch.candidate_mask.shape) for k, v in inputs.items()}
    outputs = _load(name, folder)(**inputs)
    if name == ANSWER:
        found = torch.stack([outputs.start_logits, outputs.end_logits], dim=-1)
    else:
        found = outputs.logits
    if name in (TOKEN, ANSWER):
        real = batch.attention_mask.bool()
        found, expected = found[real], expected[real]
    if found.shape != expected.shape:
        raise _refused(
            model.tasks[task],
            f"its logits would have shape {tuple(found.shape)} instead of {tuple(expected.shape)}",
        )
    error, scale = (found - expected).abs().max(), expected.abs().max()
    if not error <= TOLERANCE * scale:  # written so that NaN fails
        raise _refused(
            model.tasks[task],
            f"its logits would differ from the run's by up to {error:.3g}, where the largest is {scale:.3g}",
        )


def probe(encoder: Encoder, task: str) -> Batch:
    """Batch of random tokens to compare two models: padded, both token types, pairs of candidates."""
    generator = torch.Generator().manual_seed(0)
    words = encoder.model.get_input_embeddings()
    assert isinstance(words, nn.Embedding)
    pad = int(getattr(encoder.config, "pad_token_id", None) or 0)
    lengths = (12, 7, 9, 2)
    shape = (len(lengths), max(lengths))
    # Exclude the padding token, because some models derive positions from it.
    ids = torch.randint(1, words.num_embeddings, shape, generator=generator)
    ids = (ids + pad) % words.num_embeddings
    mask = (torch.arange(shape[1]) < torch.tensor(lengths)[:, None]).long()
    types = (torch.arange(shape[1]) >= min(lengths)).long() * mask
    return Batch(
        task=task,
        uids=[str(i) for i in range(len(lengths) // 2)],
        input_ids=ids.masked_fill(mask == 0, pad),
        attention_mask=mask,
        token_type_ids=types,
        candidate_mask=torch.ones(len(lengths) // 2, 2, dtype=torch.bool),
    )


def _inputs(batch: Batch, encoder: Encoder) -> dict[str, Tensor]:
    inputs = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
    if encoder.has_token_types and batch.token_type_ids is not None:
        inputs["token_type_ids"] = batch.token_type_ids
    return inputs


def _load(name: str, folder: Path) -> PreTrainedModel:
    with torch.random.fork_rng(devices=[]), quiet():
        return getattr(transformers, name).from_pretrained(folder).eval()

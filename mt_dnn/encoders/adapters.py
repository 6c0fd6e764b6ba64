"""Adapters: few new weights inside a frozen encoder, through PEFT (``model.adapter``).

An adapter kind is an entry of :data:`mt_dnn.registries.ADAPTERS`, a function
``kind(model, **options)`` that returns the configuration of a PEFT method for a transformers model.
PEFT puts the adapter into the layers of the model itself, so that the encoder keeps its two steps,
embed and encode. All tasks share the adapter; the encoder's own weights are frozen, and heads train.

PEFT renames the parameters of an adapted layer: ``query.weight`` becomes ``query.base_layer.weight``,
beside ``query.lora_A.default.weight``. :func:`plain_name` undoes it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from data_utils.errors import UserError
from data_utils.registry import nearest
from mt_dnn.config.run import ModelConfig
from mt_dnn.encoders.encoder import Encoder
from mt_dnn.encoders.pretrained import check_finite
from mt_dnn.randomness import seeded_rng, step_seed
from mt_dnn.registries import ADAPTERS

FOLDER = "adapter"
"""Folder beside the merged weights that has the adapter alone, in PEFT's format."""
WEIGHTS = "adapter_model.safetensors"
NAME = "default"
"""PEFT's name of the one adapter; a part of its parameter names."""
PREFIX = "base_model.model."
"""Begins every name in PEFT's file: a PeftModel wraps the encoder twice."""
PLACE = 0xADA97
"""Distinguishes the adapter's random numbers from others of the same seed."""
ALL_LINEAR = "all-linear"


def lora(
    model: PreTrainedModel,
    *,
    r: int = 8,
    alpha: float = 16.0,
    dropout: float = 0.0,
    targets: str | list[str] = ALL_LINEAR,
) -> Any:
    """LoRA: each adapted layer computes W x + alpha / r B A x (Hu et al. 2022, arXiv 2106.09685).

    A, (r, in), starts random, B, (out, r), at 0: the encoder computes what it did before.

    Args:
        model: the transformers model of the encoder.
        r: rank of B A.
        alpha: B A x is multiplied by alpha / r.
        dropout: dropout rate of x before A.
        targets: all-linear, or names of linear layers, such as [query, value].

    Returns:
        A ``peft.LoraConfig``.

    Raises:
        UserError: an option is out of range, or no layer has the name of a target.
    """
    if r < 1 or not alpha > 0 or not 0 <= dropout < 1:
        raise UserError(
            f"model.adapter_options: r {r}, alpha {alpha}, dropout {dropout}; r must be at least 1, alpha "
            f"above 0, dropout at least 0 and below 1"
        )
    return peft("model.adapter: lora").LoraConfig(
        r=r,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=linear_layers(model, targets),
    )


def linear_layers(model: nn.Module, targets: str | Iterable[str]) -> list[str]:
    """Return the full names of the linear layers that ``targets`` selects.

    Args:
        targets: all-linear, or ends of names, such as ``query`` or ``attention.output.dense``; a text
            may have several, separated by commas.

    Raises:
        UserError: no linear layer has such a name; the message lists the valid ones.

    Example:
        >>> from torch import nn
        >>> model = nn.ModuleDict({"query": nn.Linear(2, 2), "norm": nn.LayerNorm(2)})
        >>> linear_layers(model, "all-linear")
        ['query']
    """
    linear = [n for n, m in model.named_modules() if isinstance(m, (nn.Linear, Conv1D))]
    if targets == ALL_LINEAR:
        return linear
    named = targets.split(",") if isinstance(targets, str) else list(targets)
    chosen: dict[str, None] = {}
    for target in (name.strip() for name in named):
        own = [name for name in linear if f".{name}".endswith(f".{target}")]
        if not own or not target:
            parts = [name.split(".") for name in linear]
            ends = {".".join(own[i:]) for own in parts for i in range(len(own))}
            near = nearest(target, [ALL_LINEAR, *sorted(ends, key=len)])
            choices = sorted({ALL_LINEAR, *(own[-1] for own in parts)})
            raise UserError(
                f"model.adapter_options: targets: {target!r} is no linear layer of this "
                f"{type(model).__name__}.{f' Did you mean {near!r}?' if near else ''} Choices: "
                f"{', '.join(choices)}. A longer name, such as {linear[-1].split('.', 1)[-1]}, selects fewer "
                f"layers"
            )
        chosen |= dict.fromkeys(own)
    if not chosen:
        raise UserError("model.adapter_options: targets is empty; name layers, or use all-linear")
    return list(chosen)


def adapted(encoder: Encoder, config: ModelConfig) -> Encoder:
    """Add the adapter that ``model.adapter`` selects; return ``encoder`` itself if there is none.

    The random numbers of the adapter follow from ``torch.initial_seed()``. The global generators stay
    as they were, so that heads start as in a run without an adapter.

    Args:
        encoder: the pretrained encoder; its model is changed in place.

    Raises:
        UserError: PEFT is not installed, or the adapter does not fit the encoder.
    """
    if config.adapter is None:
        return encoder
    kind = ADAPTERS.get(config.adapter, "model.adapter")
    settings = kind(encoder.model, **config.adapter_options)
    with seeded_rng(step_seed(torch.initial_seed(), PLACE), "cpu"):
        return AdaptedEncoder(encoder, settings, kind=config.adapter)


class AdaptedEncoder(Encoder):
    """An encoder whose own weights are frozen, with an adapter that trains.

    It saves the merged weights, which are those of a plain encoder, and the adapter beside them in
    :data:`FOLDER`. :meth:`load_weights` reads the adapter.

    Args:
        encoder: the encoder to adapt; its model is changed in place.
        settings: a ``peft.PeftConfig``.
        kind: the registered name, for messages.

    Raises:
        UserError: PEFT does not support the method or the layers, or the adapter changes the word
            embeddings, which SMART perturbs.
    """

    def __init__(self, encoder: Encoder, settings: Any, *, kind: str) -> None:
        words = encoder.model.get_input_embeddings()
        names = list(getattr(settings, "target_modules", None) or ())
        try:
            peft(f"model.adapter: {kind}").inject_adapter_in_model(
                settings, encoder.model, adapter_name=NAME
            )
        except (ValueError, TypeError) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"model.adapter: {kind} does not fit this encoder: {reason}") from None
        if encoder.model.get_input_embeddings() is not words:
            raise UserError(
                f"model.adapter: {kind} changes the word embeddings; adapt linear layers alone"
            )
        super().__init__(encoder.model)
        self.source = encoder.source
        self._pooler = encoder._pooler
        settings.target_modules = names  # PEFT shortens them, which could then match a pooler too
        self.settings = settings
        self.model.train(encoder.training)  # new layers too

    @torch.no_grad()
    def weights(self) -> dict[str, Tensor]:
        """The merged weights by the names of the plain encoder, new tensors where merged."""
        from peft.tuners.tuners_utils import BaseTunerLayer

        layers = {n: m for n, m in self.model.named_modules() if isinstance(m, BaseTunerLayer)}
        inside = tuple(f"{name}." for name in layers)
        state = {n: w for n, w in self.model.state_dict().items() if not n.startswith(inside)}
        for name, layer in layers.items():  # one by one: one copy of a layer at a time
            merged = copy.deepcopy(layer)
            merged.merge()
            own = merged.get_base_layer().state_dict()
            state |= {f"{name}.{key}": weight for key, weight in own.items()}
        return state

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the merged encoder as :meth:`Encoder.save_pretrained` does, and the adapter alone."""
        super().save_pretrained(folder)
        own = Path(folder) / FOLDER
        own.mkdir(exist_ok=True)
        settings = copy.copy(self.settings)
        settings.target_modules = sorted(settings.target_modules)
        settings.inference_mode = True
        settings.task_type = "FEATURE_EXTRACTION"
        settings.base_model_name_or_path = self.source
        settings.save_pretrained(str(own))
        save_file(self._adapter(), own / WEIGHTS, metadata={"format": "pt"})

    def load_weights(self, folder: str | Path) -> None:
        """Load the adapter that :meth:`save_pretrained` wrote, in place; the encoder stays as it is.

        Raises:
            UserError: the adapter is missing, damaged, or another one.
        """
        from peft import set_peft_model_state_dict

        path = Path(folder) / FOLDER / WEIGHTS
        try:
            saved = load_file(path)
        except Exception as error:
            raise UserError(f"{path} is missing or damaged ({error}); restore the file") from None
        check_finite(saved, str(path))
        own = self._adapter()
        for name in sorted(own.keys() | saved.keys()):
            shapes = [tuple(w[name].shape) if name in w else None for w in (own, saved)]
            if shapes[0] != shapes[1]:
                raise UserError(
                    f"{path} does not fit model.adapter_options: {name} is {shapes[1]} in the file, and "
                    f"{shapes[0]} in the model"
                )
        plain = {name.removeprefix(PREFIX): weight for name, weight in saved.items()}
        set_peft_model_state_dict(self.model, plain, adapter_name=NAME)

    def _adapter(self) -> dict[str, Tensor]:
        """The adapter's weights by their names in PEFT's file."""
        from peft import get_peft_model_state_dict

        own = get_peft_model_state_dict(self.model, adapter_name=NAME, save_embedding_layers=False)
        return {f"{PREFIX}{name}": weight.contiguous() for name, weight in own.items()}


def plain_name(name: str) -> str:
    """Return a parameter's name as it is without PEFT: the layer's own, or ``….lora_A.weight``.

    Example:
        >>> plain_name("encoder.model.layer.0.query.base_layer.weight")
        'encoder.model.layer.0.query.weight'
        >>> plain_name("encoder.model.layer.0.query.lora_A.default.weight")
        'encoder.model.layer.0.query.lora_A.weight'
    """
    if not name.startswith("encoder."):
        return name
    return ".".join(part for part in name.split(".") if part not in ("base_layer", NAME))


def peft(kind: str) -> Any:
    """Import PEFT and return the module.

    Args:
        kind: what needs it, for the message.

    Raises:
        UserError: it is not installed.
    """
    try:
        import peft as module
    except ImportError:
        raise UserError(
            f"{kind} needs the package peft, which is not installed; run: pip install peft"
        ) from None
    return module

"""Locate pretrained files (hub, folder, Python package) and load their tokenizer."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

import mt_dnn.encoders.nezha  # noqa: F401  (registers the architecture, which transformers no longer has)
from data_utils.errors import UserError
from data_utils.registry import choices_hint

PACKAGE = "package:"
CHOICES = (
    "Choices: a hub name such as bert-base-uncased, a local folder that holds config.json and the "
    f"weights, or {PACKAGE}NAME for weights inside an installed Python package."
)


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """Load the fast tokenizer of an encoder.

    Args:
        name: hub name, local folder, or ``package:NAME``; see :func:`resolve_encoder`.

    Raises:
        UserError: there is no tokenizer, or no fast version of it. Only fast tokenizers map tokens to
            characters, which span and sequence labelling tasks need.

    Example::

        tokenizer = load_tokenizer("bert-base-uncased")
    """
    source = resolve_encoder(name)
    with quiet(), load_errors(name, "tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(source)
    if not tokenizer.is_fast:
        raise UserError(
            f"encoder {name!r}: {type(tokenizer).__name__} is a slow tokenizer. Use an encoder with "
            "a fast tokenizer (tokenizer.json), such as bert-base-uncased."
        )
    if len(tokenizer) <= len(tokenizer.all_special_tokens):
        # Without vocabulary files transformers builds an empty tokenizer without a warning.
        raise UserError(
            f"encoder {name!r}: no tokenizer files found. Put tokenizer.json beside config.json."
        )
    return tokenizer


def resolve_encoder(name: str) -> str | Path:
    """Locate the files of an encoder.

    Args:
        name: hub name, local folder, or ``package:NAME`` for an installed Python package.

    Returns:
        The folder, or the hub name unchanged. Hub names are not checked here.

    Raises:
        UserError: the folder does not exist or has no config.json, or the package is not installed
            or contains no model.
    """
    if name.startswith(PACKAGE):
        return _package_folder(name.removeprefix(PACKAGE))
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise UserError(f"encoder {name!r}: the folder has no config.json. {CHOICES}")
        return folder
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name) or name.startswith("."):
        raise UserError(f"encoder {name!r}: no such folder. {CHOICES}")
    return name


def _package_folder(package: str) -> Path:
    """Find the folder with an encoder in a package, without importing the package."""
    try:
        distribution = importlib.metadata.distribution(package)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        raise UserError(
            f"encoder '{PACKAGE}{package}': no package of this name is installed. "
            f"{_installed(package)}"
        ) from None
    files = {Path(str(distribution.locate_file(file))) for file in distribution.files or ()}
    folders = [
        file.parent
        for file in files
        if file.name == "config.json" and file.parent / "model.safetensors" in files
    ]
    if not folders:
        raise UserError(
            f"encoder '{PACKAGE}{package}': the package contains no folder with config.json and "
            f"model.safetensors. {CHOICES}"
        )
    return min(folders, key=lambda folder: (len(folder.parts), folder))


def _installed(wanted: str) -> str:
    """Name the installed packages that contain an encoder, the most similar name first.

    The message does not advise to install the wanted package: a mistyped name may be somebody else's.
    """
    names = sorted(
        {
            distribution.metadata["Name"]
            for distribution in importlib.metadata.distributions()
            if any(
                file.name == "model.safetensors" and file.with_name("config.json") in files
                for files in [set(distribution.files or ())]
                for file in files
            )
        }
    )
    if names:
        return f"Check the name, or install the package.{choices_hint(wanted, names)}"
    return f"Check the name, or install the package. No installed package has an encoder. {CHOICES}"


@contextmanager
def load_errors(name: str, what: str) -> Iterator[None]:
    """Re-raise loading failures, such as a wrong name, as a one-line UserError.

    Args:
        name: name of the checkpoint, for the message.
        what: what is loaded, for the message: "encoder", "tokenizer".
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"{what} {name!r} cannot be loaded: {reason} {CHOICES}") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress log lines and progress bars of transformers during the block.

    Callers check the loading info that transformers returns, so its warnings are not needed.
    """
    level = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity(transformers_logging.CRITICAL)
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()


def check_finite(weights: Mapping[str, Tensor], where: str) -> None:
    """Check that weights are finite.

    Raises:
        UserError: a weight is NaN or infinite; the message begins with ``where``.
    """
    for name, weight in weights.items():
        if weight.is_floating_point() and not torch.isfinite(weight).all():
            raise UserError(
                f"{where}: weight {name} contains NaN or infinity; restore the file, or use another model"
            )

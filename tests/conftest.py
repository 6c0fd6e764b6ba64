"""What the tests share: a tiny encoder, three tiny tasks that it can learn, and runs on them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from docstring_parser.attrdoc import AttributeDocstrings
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from mt_dnn.registries import REGISTRIES
from mt_dnn.tracking.tensorboard import TensorBoard
from tests.support.encoders import tiny_encoder_folder
from tests.support.workspace import TASKS, TinyConfig, run_config, write_rows

pytest_plugins = [
    "tests.support.commands",
    "tests.support.mt_dnn_checkpoint",
    "tests.support.float64",
]


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def docstrings_are_read_once() -> Iterator[None]:
    """jsonargparse parses the source of every settings class for each parser that it builds."""
    reader = AttributeDocstrings.get_attr_docs
    once = cache(lambda component: reader(AttributeDocstrings(), component))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AttributeDocstrings, "get_attr_docs", lambda _, component: once(component))
        yield


@pytest.fixture(autouse=True)
def fresh_accelerator() -> None:
    """Accelerate keeps the first device and precision of a process; each test chooses its own."""
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(scope="session")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT of 2 layers with dropout 0.1."""
    return tiny_encoder_folder(tmp_path_factory.mktemp("encoder") / "tiny")


@pytest.fixture(scope="session")
def tokenizer(encoder_folder: Path) -> PreTrainedTokenizerBase:
    """Of the tiny encoder; to be read only."""
    return AutoTokenizer.from_pretrained(encoder_folder)


@pytest.fixture(scope="session")
def still_encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same weights without dropout."""
    folder = tiny_encoder_folder(tmp_path_factory.mktemp("encoder") / "still")
    path = folder / "config.json"
    off = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    path.write_text(json.dumps(json.loads(path.read_text()) | off))
    return folder


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tasks.yml and the rows of its three tasks, train and dev."""
    folder = tmp_path_factory.mktemp("workspace")
    (folder / "tasks.yml").write_text(TASKS)
    write_rows(folder)
    return folder


@pytest.fixture(scope="session")
def config_in(workspace: Path, encoder_folder: Path) -> Callable[[Path], TinyConfig]:
    """``config_in(folder)`` is :func:`tiny_config` with its runs in ``folder``."""
    return lambda folder: partial(run_config, workspace, encoder_folder, folder)


@pytest.fixture
def tiny_config(config_in: Callable[[Path], TinyConfig], tmp_path: Path) -> TinyConfig:
    """``tiny_config(seed=1, train={"epochs": 3})``: a run of the workspace on the tiny encoder.

    Defaults: batch size 4, 2 epochs, a log point at every update, CPU. All tests share the stores;
    the runs go to this test's own folder.
    """
    return config_in(tmp_path / "runs")


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than training such a tiny model."""
    monkeypatch.setattr(TensorBoard, "takes_images", False)


@pytest.fixture
def registries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a test registers is forgotten after it."""
    for registry in REGISTRIES:
        for part in ("_places", "_objects", "_entries", "_aliases"):
            monkeypatch.setattr(registry, part, dict(getattr(registry, part)))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder of the test; it has a tiny encoder in ``encoder``."""
    tiny_encoder_folder(tmp_path / "encoder")
    monkeypatch.chdir(tmp_path)
    return tmp_path

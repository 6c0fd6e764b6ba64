"""Checkpoints of MT-DNN that are refused, files whose code must not run, and the command."""

from __future__ import annotations

import argparse
import enum
import pickle
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from data_utils.errors import UserError
from mt_dnn.from_mt_dnn import importer as module
from tests.support.mt_dnn_checkpoint import (
    HIDDEN,
    State,
    linear,
    under,
)

ROOT = Path(__file__).parents[2]


def without(state: State, *keys: str) -> State:
    return {key: tensor for key, tensor in state.items() if key not in keys}


LOST = ("bert.encoder.layer.1.output.dense.weight", "bert.embeddings.LayerNorm.bias")
MISTAKES: dict[str, tuple[Callable[[State], State], dict[str, Any]]] = {
    r"task 'pair' has 2 outputs \(n_class: 2\), but scoring_list\.0\.\* in the checkpoint has 3": (
        lambda state: state | under("scoring_list.0", linear(3, seed=1)),
        {},
    ),
    r"has 1 outputs .*scoring_list\.1\.\* in the checkpoint has 2": (
        lambda state: (
            without(state, "scoring_list.2.weight", "scoring_list.2.bias")
            | under("scoring_list.1", linear(2, seed=1))
        ),
        {"use": "pair,pick"},
    ),
    r"has 2 heads, but there are 3 tasks: pair, score, pick\. .* --use": (
        lambda state: without(state, "scoring_list.2.weight", "scoring_list.2.bias"),
        {},
    ),
    r"--use: --tasks has no task 'pear'\. Did you mean 'pair'\?": (
        lambda state: state,
        {"use": "pear,score,pick"},
    ),
    "task 'pair' is named twice": (lambda state: state, {"use": "pair,pair,pick"}),
    r"lacks 2 of the 37 weights of encoder .*: bert\.embeddings\.LayerNorm\.bias, "
    r"bert\.encoder\.layer\.1\.output\.dense\.weight$": (lambda state: without(state, *LOST), {}),
    "are not those of encoder .*: "
    r"bert\.embeddings\.word_embeddings\.weight \(7, 32\), not \(\d+, 32\)$": (
        lambda state: state | {"bert.embeddings.word_embeddings.weight": torch.ones(7, HIDDEN)},
        {},
    ),
    "--max_seq_len: 512 exceeds the 128 positions": (
        lambda state: state,
        {"max_seq_len": 512},
    ),
    "encoder 'no/such/folder': no such folder": (
        lambda state: state,
        {"encoder": "no/such/folder"},
    ),
    r"task file .*missing\.yml": (lambda state: state, {"tasks": "missing.yml"}),
    r"file missing\.pt does not exist": (lambda state: state, {"checkpoint": "missing.pt"}),
}


@pytest.mark.parametrize("message", MISTAKES)
def test_every_mismatch_is_named_and_nothing_is_written(
    import_state, mt_dnn_state, tmp_path, message
):
    change, options = MISTAKES[message]
    with pytest.raises(UserError, match=message):
        import_state(change(mt_dnn_state), **options)
    assert not list(tmp_path.glob("out*"))


def test_a_remembered_task_that_the_file_lacks_is_named(import_state, mt_dnn_state):
    with pytest.raises(UserError, match=r"trained on it .*--use.*: --tasks has no task 'rte'"):
        import_state(mt_dnn_state, {"train_datasets": ["rte", "pair", "score"]})


def test_a_folder_that_exists_stays_as_it_is(import_state, mt_dnn_state, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match=r"--out: .*out exists"):
        import_state(mt_dnn_state)
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"model": {}, "config": {}}, r"has no entry `state`.* Found: model, config"),
        ({"state": {"bert.x": "text"}}, "has no entry `state`"),
        (torch.ones(2), r"has no entry `state`.* Found: Tensor"),
        (b"not torch's", "was not written by torch.save, or is damaged"),
        (b"", "was not written by torch.save, or is damaged"),
    ],
)
def test_other_files_are_told_apart(import_state, tmp_path, content, message):
    path = tmp_path / "other.pt"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(UserError, match=message):
        import_state({}, checkpoint=str(path))


# --- No code of the file's runs ------------------------------------------------------------------


class Bomb:
    """Its pickle says: call this function."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (exploded, ("now",))


def exploded(when: str) -> None:
    raise AssertionError(f"code of the file ran: {when}")


@pytest.mark.parametrize("old_form", [False, True])
def test_an_object_whose_code_would_run_is_refused(import_state, mt_dnn_state, tmp_path, old_form):
    path = tmp_path / "bomb.pt"
    entries = {"state": mt_dnn_state, "config": {"x": Bomb()}}
    torch.save(entries, path, _use_new_zipfile_serialization=not old_form)
    with pytest.raises(AssertionError, match="code of the file ran"):
        torch.load(path, weights_only=False)  # proves that the file is harmful to read in full
    with pytest.raises(UserError, match=r"refused, because reading its .*exploded would run code"):
        import_state(mt_dnn_state, checkpoint=str(path))
    assert not (tmp_path / "out").exists()


def save_with_settings(state: State, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a newer MT-DNN keeps in ``config``: definitions of tasks, objects of its own classes.

    The classes are there while it is saved, and must not be asked anything when it is read.
    """

    class Vocabulary:
        def __init__(self) -> None:
            self.tok2ind = {"same": 0, "other": 1}

    class TaskType(enum.IntEnum):
        Classification = 1

    class Metric(enum.Enum):
        ACC = 0

    class TaskDef(dict):
        def __init__(self, **values: Any) -> None:
            super().__init__({key: repr(value) for key, value in values.items()})
            self.__dict__.update(values)

    task = TaskDef(
        label_vocab=Vocabulary(), task_type=TaskType.Classification, metric_meta=(Metric.ACC,)
    )
    settings = {
        "task_def_list": [task],
        "encoder_type": TaskType.Classification,
        "args": argparse.Namespace(seed=2018, nested=argparse.Namespace(a=1)),
        "numbers": [np.float64(0.5), np.float32(1), np.int64(2), np.bool_(True)],
        "train_datasets": ["pair", "pick", "score"],
    }
    homes = {
        "experiments.exp_def": TaskDef,
        "data_utils.vocab": Vocabulary,
        "data_utils.task_def": TaskType,
        "data_utils.metrics": Metric,
    }
    with monkeypatch.context() as patch:
        for home, cls in homes.items():
            cls.__module__, cls.__qualname__ = home, cls.__name__
            stand = types.ModuleType(home)
            setattr(stand, cls.__name__, cls)
            patch.setitem(sys.modules, home, stand)
        torch.save({"state": state, "config": settings}, path)


def test_settings_of_mt_dnns_own_classes_are_read_without_them(
    import_state, mt_dnn_state, tmp_path, monkeypatch
):
    path = tmp_path / "newer.pt"
    save_with_settings(mt_dnn_state, path, monkeypatch)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)
    report = import_state({}, checkpoint=str(path))
    assert list(report.heads) == ["pair", "pick", "score"]  # train_datasets was read


# --- The command ---------------------------------------------------------------------------------


def test_the_command(import_state, mt_dnn_state, workspace, encoder_folder, tmp_path, command):
    torch.save({"state": mt_dnn_state}, tmp_path / "model.pt")
    words = ["--checkpoint", tmp_path / "model.pt", "--tasks", workspace / "tasks.yml"]
    words += ["--encoder", encoder_folder, "--out", tmp_path / "out", "--max_seq_len", 64]
    code, out, err = command(module.main, *words)
    assert (code, err) == (0, "")
    assert "head score  scoring_list.1.* on bert.pooler.dense.*, tanh\n" in out
    assert "expected    1  bert.embeddings.position_ids\n" in out
    code, _, err = command(module.main, *words)  # the folder exists now
    assert code == 2
    assert err.startswith("error: --out: ")
    assert err.count("\n") == 1


def test_help_needs_no_torch():
    script = (
        "import runpy, sys\n"
        "sys.argv = ['mt-dnn', 'import', '--help']\n"
        "try: runpy.run_module('mt_dnn.cli', run_name='__main__', alter_sys=True)\n"
        "except SystemExit as stop: assert not stop.code\n"
        "assert not {'torch', 'transformers', 'numpy', 'safetensors'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--pooler_activation" in done.stdout

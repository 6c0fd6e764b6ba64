"""Rows to predict and model folders that are refused, by ``mt-dnn predict``."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mt_dnn.inference import command
from tests.bad_input.expect import filled
from tests.bad_input.test_bad_rows import DEEP
from tests.support.model_folders import tasks_of, write_model

TASKS = 'pair: {data_format: PremiseAndOneHypothesis, task_type: Classification, labels: ["no", "yes"], metric_meta: [ACC]}'
INPUT = [
    # name, bytes, message
    ("nothing", b"", "?"),
    ("blank lines", b"\n  \n\n", "?"),
    ("one text", b"good\n", "?"),
    ("five texts", b"a\tb\tc\td\te\n", "?"),
    ("a column less later", b"a\tb\nc\n", "?"),
    ("not UTF-8", "caf\xe9\tx\n".encode("latin-1"), "?"),
    ("not UTF-8 later", b"a\tb\n" * 3 + b"\xff\n", "?"),
    ("UTF-16", "a\tb\n".encode("utf-16"), "?"),
    ("NUL", b"a\0\tb\n", "?"),
    ("half a pair", b'{"premise": "\\ud83d", "hypothesis": "x"}\n', "?"),
    ("a key twice", b'{"premise": "x", "premise": "y", "hypothesis": "x"}\n', "?"),
    ("NaN", b'{"premise": NaN, "hypothesis": "x"}\n', "?"),
    ("no hypothesis", b'{"premise": "x"}\n', "?"),
    ("a list later", b'{"premise": "x", "hypothesis": "y"}\n[1]\n', "?"),
    ("a broken object", b'{"premise": "x"\n', "?"),
    ("5000 digits", b'{"premise": ' + b"1" * 5000 + b', "hypothesis": "x"}\n', "?"),
    ("5000 digits alone", b"1" * 5000 + b"\n", "?"),
    ("10000 deep", b'{"premise": ' + DEEP.encode() + b', "hypothesis": "x"}\n', "?"),
    ("10000 deep alone", DEEP.encode() + b"\n", "?"),
    ("an unknown label", b"a\tmaybe\tx\ty\n", "?"),
]
FILES = [
    # name, file, bytes, None to remove it, or the half of it; message
    ("no facts", "mt_dnn.json", None, "?"),
    ("empty facts", "mt_dnn.json", b"", "?"),
    ("facts are a list", "mt_dnn.json", b"[]", "?"),
    ("facts of a newer format", "mt_dnn.json", b'{"format": 99}', "?"),
    ("facts without a model", "mt_dnn.json", b'{"format": 3, "max_seq_len": 32}', "?"),
    ("facts without a length", "mt_dnn.json", b'{"format": 3, "model": {}}', "?"),
    (
        "facts with an unknown setting",
        "mt_dnn.json",
        b'{"format": 3, "model": {"poling": 1}, "max_seq_len": 32}',
        "?",
    ),
    (
        "facts with a wrong setting",
        "mt_dnn.json",
        b'{"format": 3, "model": {"dropout": "x"}, "max_seq_len": 32}',
        "?",
    ),
    (
        "facts with a wrong length",
        "mt_dnn.json",
        b'{"format": 3, "model": {}, "max_seq_len": "x"}',
        "?",
    ),
    (
        "facts with a null length",
        "mt_dnn.json",
        b'{"format": 3, "model": {}, "max_seq_len": null}',
        "?",
    ),
    ("facts too deep", "mt_dnn.json", DEEP.encode(), "?"),
    ("facts not UTF-8", "mt_dnn.json", b"\xff\xfe", "?"),
    ("facts of 5000 digits", "mt_dnn.json", b'{"format": ' + b"1" * 5000 + b"}", "?"),
    ("no tasks", "tasks.yml", None, "?"),
    ("empty tasks", "tasks.yml", b"", "?"),
    ("other tasks", "tasks.yml", TASKS.replace("pair:", "other:").encode(), "?"),
    ("other labels", "tasks.yml", TASKS.replace('"yes"]', '"yes", "maybe"]').encode(), "?"),
    ("no heads", "heads.safetensors", None, "?"),
    ("empty heads", "heads.safetensors", b"", "?"),
    ("half of the heads", "heads.safetensors", "half", "?"),
    ("heads are text", "heads.safetensors", b"not safetensors at all", "?"),
    ("heads with a huge header", "heads.safetensors", b"\xff" * 8 + b"{}", "?"),
    ("no config", "config.json", None, "?"),
    ("empty config", "config.json", b"", "?"),
    ("config is a list", "config.json", b"[]", "?"),
    ("config of no model", "config.json", b"{}", "?"),
    ("config of an unknown model", "config.json", b'{"model_type": "nothing"}', "?"),
    (
        "config of another size",
        "config.json",
        b'{"model_type": "bert", "hidden_size": 8, "num_attention_heads": 2}',
        "?",
    ),
    (
        "config with a text as size",
        "config.json",
        b'{"model_type": "bert", "hidden_size": "x"}',
        "?",
    ),
    ("no weights", "model.safetensors", None, "?"),
    ("empty weights", "model.safetensors", b"", "?"),
    ("half of the weights", "model.safetensors", "half", "?"),
    ("weights are text", "model.safetensors", b"not safetensors at all", "?"),
    ("empty tokenizer", "tokenizer.json", b"", "?"),
    ("tokenizer is a list", "tokenizer.json", b"[]", "?"),
    ("half of the tokenizer", "tokenizer.json", "half", "?"),
]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, encoder_folder: Path) -> Path:
    """The folder of a model of one task."""
    folder = tmp_path_factory.mktemp("saved")
    write_model(folder / "best", tasks_of(folder, TASKS), encoder_folder)
    return folder / "best"


@pytest.fixture
def predict(outcome: Callable) -> Callable:
    def run(model: Path, input: Path | str, *args: str) -> tuple[int, str]:
        argv = ["--run", str(model), "--input", str(input), "--output", f"{model}.out", *args]
        return outcome(lambda: command.main(argv))

    return run


@pytest.mark.parametrize(("data", "message"), [c[1:] for c in INPUT], ids=[c[0] for c in INPUT])
def test_bad_input(
    saved: Path, tmp_path: Path, predict: Callable, data: bytes, message: str
) -> None:
    (tmp_path / "rows").write_bytes(data)
    assert predict(saved, tmp_path / "rows") == (2, filled(message, tmp_path))
    assert not Path(f"{saved}.out").exists()


def test_standard_input_that_is_not_utf8(
    saved: Path, predict: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rows").write_bytes(b"a\tb\n\xff\tc\n")
    with (tmp_path / "rows").open() as stream:
        monkeypatch.setattr("sys.stdin", stream)
        assert predict(saved, "-") == (2, filled("?", tmp_path))


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ("--task pear", "?"),
        ("--batch_size 0", "?"),
        ("--batch_size x", "?"),
        ("--what answers", "?"),
        ("--what embeddings --task pair", "?"),
        ("--tasks FOLDER/none.yml", "?"),
        ("--device tpu", "?"),
        ("--input FOLDER/none", "?"),
        ("--input FOLDER", "?"),
        ("--run FOLDER/none", "?"),
        ("--run FOLDER", "?"),
    ],
)
def test_bad_arguments(
    saved: Path, tmp_path: Path, predict: Callable, args: str, message: str
) -> None:
    (tmp_path / "rows").write_text("a\tb\n")
    words = args.replace("FOLDER", str(tmp_path)).split()
    assert predict(saved, tmp_path / "rows", *words) == (2, filled(message, tmp_path))


@pytest.mark.parametrize(
    ("file", "content", "message"), [c[1:] for c in FILES], ids=[c[0] for c in FILES]
)
def test_bad_files(
    saved: Path,
    tmp_path: Path,
    predict: Callable,
    file: str,
    content: bytes | str | None,
    message: str,
) -> None:
    folder = tmp_path / "best"
    shutil.copytree(saved, folder)
    (tmp_path / "rows").write_text("a\tb\n")
    path = folder / file
    if content is None:
        path.unlink()
    else:
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2] if isinstance(content, str) else content)
    assert predict(folder, tmp_path / "rows") == (2, filled(message, tmp_path))


@pytest.mark.parametrize(
    ("file", "value", "message"),
    [
        ("heads.safetensors", float("nan"), "?"),
        ("heads.safetensors", float("inf"), "?"),
        ("model.safetensors", float("nan"), "?"),
    ],
)
def test_weights_that_are_not_numbers(
    saved: Path, tmp_path: Path, predict: Callable, file: str, value: float, message: str
) -> None:
    folder = tmp_path / "best"
    shutil.copytree(saved, folder)
    (tmp_path / "rows").write_text("a\tb\n")
    weights = load_file(folder / file)
    name = min(weights)
    weights[name] = torch.full_like(weights[name], value)
    save_file(weights, folder / file, metadata={"format": "pt"})
    assert predict(folder, tmp_path / "rows") == (2, filled(message, tmp_path))

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
# fmt: off
INPUT = [
    # name, bytes, message
    ("nothing", b"", "FOLDER/rows: the file has no rows"),
    ("blank lines", b"\n  \n\n", "FOLDER/rows: the file has no rows"),
    ("one text", b"good\n", "FOLDER/rows:1: 1 columns; task 'pair' takes, tab-separated: uid, label, premise, hypothesis; or premise, hypothesis. Or give JSON lines with premise, hypothesis."),
    ("five texts", b"a\tb\tc\td\te\n", "FOLDER/rows:1: 5 columns; task 'pair' takes, tab-separated: uid, label, premise, hypothesis; or premise, hypothesis. Or give JSON lines with premise, hypothesis."),
    ("a column less later", b"a\tb\nc\n", "FOLDER/rows:2: 1 columns; expected 2, tab-separated: premise, hypothesis"),
    ("not UTF-8", "caf\xe9\tx\n".encode("latin-1"), "FOLDER/rows:1: not UTF-8: byte 0xe9 after ..."),
    ("not UTF-8 later", b"a\tb\n" * 3 + b"\xff\n", "FOLDER/rows:4: not UTF-8: byte 0xff after ..."),
    ("UTF-16", "a\tb\n".encode("utf-16"), "FOLDER/rows:1: not UTF-8: byte 0xff after ..."),
    ("NUL", b"a\0\tb\n", "FOLDER/rows:1: column 'premise' contains the character NUL; remove it, or write the file in UTF-8"),
    ("half a pair", b'{"premise": "\\ud83d", "hypothesis": "x"}\n', "FOLDER/rows:1: column 'premise' contains half of a surrogate pair, which is not a character; remove it"),
    ("a key twice", b'{"premise": "x", "premise": "y", "hypothesis": "x"}\n', "FOLDER/rows:1: not JSON: key 'premise' occurs twice"),
    ("NaN", b'{"premise": NaN, "hypothesis": "x"}\n', "FOLDER/rows:1: not JSON: NaN is not a JSON value; use null, or leave the key out"),
    ("no hypothesis", b'{"premise": "x"}\n', "FOLDER/rows:1: column 'hypothesis' is missing; the row has label, premise, uid"),
    ("a list later", b'{"premise": "x", "hypothesis": "y"}\n[1]\n', "FOLDER/rows:2: [1] is not a text, a tuple of texts, or a dict by column name; task 'pair' takes: premise, hypothesis"),
    ("a broken object", b'{"premise": "x"\n', "FOLDER/rows:1: not JSON: Expecting ',' delimiter: line 1 column 16 (char 15)"),
    ("5000 digits", b'{"premise": ' + b"1" * 5000 + b', "hypothesis": "x"}\n', "FOLDER/rows:1: not JSON: a number has more than 4300 digits"),
    ("5000 digits alone", b"1" * 5000 + b"\n", "FOLDER/rows:1: 1 columns; task 'pair' takes, tab-separated: uid, label, premise, hypothesis; or premise, hypothesis. Or give JSON lines with premise, hypothesis."),
    ("10000 deep", b'{"premise": ' + DEEP.encode() + b', "hypothesis": "x"}\n', "FOLDER/rows:1: not JSON: nested too deep"),
    ("10000 deep alone", DEEP.encode() + b"\n", "FOLDER/rows:1: 1 columns; task 'pair' takes, tab-separated: uid, label, premise, hypothesis; or premise, hypothesis. Or give JSON lines with premise, hypothesis."),
    ("an unknown label", b"a\tmaybe\tx\ty\n", "FOLDER/rows:1: label 'maybe' is not a label of task 'pair'. Did you mean 'yes'? Choices: no, yes."),
]
# fmt: on
# fmt: off
FILES = [
    # name, file, bytes, None to remove it, or the half of it; message
    ("no facts", "mt_dnn.json", None, "FOLDER/best is not a finished run: it has no best/mt_dnn.json. Name a run directory, or its best/ folder"),
    ("empty facts", "mt_dnn.json", b"", "FOLDER/best/mt_dnn.json is damaged: expected a JSON object with a positive number as its format; restore the file or train a new run"),
    ("facts are a list", "mt_dnn.json", b"[]", "FOLDER/best/mt_dnn.json is damaged: expected a JSON object with a positive number as its format; restore the file or train a new run"),
    ("facts of a newer format", "mt_dnn.json", b'{"format": 99}', "FOLDER/best has run format 99, and this version of mt-dnn reads formats up to 3: install a newer mt-dnn, or train a new run with this one"),
    ("facts without a model", "mt_dnn.json", b'{"format": 3, "max_seq_len": 32}', "FOLDER/best/mt_dnn.json is damaged: expected the keys model and max_seq_len, a positive number"),
    ("facts without a length", "mt_dnn.json", b'{"format": 3, "model": {}}', "FOLDER/best/mt_dnn.json is damaged: expected the keys model and max_seq_len, a positive number"),
    ("facts with an unknown setting", "mt_dnn.json", b'{"format": 3, "model": {"poling": 1}, "max_seq_len": 32}', "FOLDER/best/mt_dnn.json is damaged: Option 'poling' is not accepted"),
    ("facts with a wrong setting", "mt_dnn.json", b'{"format": 3, "model": {"dropout": "x"}, "max_seq_len": 32}', "FOLDER/best/mt_dnn.json is damaged: dropout: expected a number, got x"),
    ("facts with a wrong length", "mt_dnn.json", b'{"format": 3, "model": {}, "max_seq_len": "x"}', "FOLDER/best/mt_dnn.json is damaged: expected the keys model and max_seq_len, a positive number"),
    ("facts with a null length", "mt_dnn.json", b'{"format": 3, "model": {}, "max_seq_len": null}', "FOLDER/best/mt_dnn.json is damaged: expected the keys model and max_seq_len, a positive number"),
    ("facts with dropout NaN", "mt_dnn.json", b'{"format": 3, "model": {"dropout": NaN}, "max_seq_len": 32}', "FOLDER/best/mt_dnn.json is damaged: model.dropout: nan; it must be at least 0 and below 1"),
    ("facts with dropout Infinity", "mt_dnn.json", b'{"format": 3, "model": {"encoder_dropout": Infinity}, "max_seq_len": 32}', "FOLDER/best/mt_dnn.json is damaged: model.encoder_dropout: inf; it must be between 0 and 1"),
    ("facts with dropout 5", "mt_dnn.json", b'{"format": 3, "model": {"dropout": 5}, "max_seq_len": 32}', "FOLDER/best/mt_dnn.json is damaged: model.dropout: 5.0; it must be at least 0 and below 1"),
    ("facts with no layers", "mt_dnn.json", b'{"format": 3, "model": {"num_layers": 0}, "max_seq_len": 32}', "FOLDER/best/mt_dnn.json is damaged: model.num_layers: 0; it must be at least 1"),
    ("facts with length NaN", "mt_dnn.json", b'{"format": 3, "model": {}, "max_seq_len": NaN}', "FOLDER/best/mt_dnn.json is damaged: expected the keys model and max_seq_len, a positive number"),
    ("facts with plugins as a word", "mt_dnn.json", b'{"format": 3, "model": {}, "max_seq_len": 32, "plugins": "os"}', "FOLDER/best/mt_dnn.json is damaged: plugins: 'os' is not a list of modules"),
    ("facts with numbers as plugins", "mt_dnn.json", b'{"format": 3, "model": {}, "max_seq_len": 32, "plugins": [NaN]}', "FOLDER/best/mt_dnn.json is damaged: plugins: [nan] is not a list of modules"),
    ("facts too deep", "mt_dnn.json", DEEP.encode(), "FOLDER/best/mt_dnn.json is damaged: expected a JSON object with a positive number as its format; restore the file or train a new run"),
    ("facts not UTF-8", "mt_dnn.json", b"\xff\xfe", "FOLDER/best/mt_dnn.json is damaged: expected a JSON object with a positive number as its format; restore the file or train a new run"),
    ("facts of 5000 digits", "mt_dnn.json", b'{"format": ' + b"1" * 5000 + b"}", "FOLDER/best/mt_dnn.json is damaged: expected a JSON object with a positive number as its format; restore the file or train a new run"),
    ("no tasks", "tasks.yml", None, "task file FOLDER/best/tasks.yml does not exist"),
    ("empty tasks", "tasks.yml", b"", "FOLDER/best/tasks.yml: the task file has no entries; expected `name: {data_format: ..., ...}`"),
    ("other tasks", "tasks.yml", TASKS.replace("pair:", "other:").encode(), "FOLDER/best: heads.safetensors does not fit tasks.yml: head other is missing or has another shape; the file has the heads of pair"),
    ("other labels", "tasks.yml", TASKS.replace('"yes"]', '"yes", "maybe"]').encode(), "FOLDER/best: heads.safetensors does not fit tasks.yml: head pair is missing or has another shape: pair.output.weight is (2, 32) in the file, and (3, 32) by tasks.yml"),
    ("no heads", "heads.safetensors", None, "FOLDER/best/heads.safetensors is missing or damaged (No such file or directory: FOLDER/best/heads.safetensors); restore the file or train a new run"),
    ("empty heads", "heads.safetensors", b"", "FOLDER/best/heads.safetensors is missing or damaged (..."),
    ("half of the heads", "heads.safetensors", "half", "FOLDER/best/heads.safetensors is missing or damaged (..."),
    ("heads are text", "heads.safetensors", b"not safetensors at all", "FOLDER/best/heads.safetensors is missing or damaged (..."),
    ("heads with a huge header", "heads.safetensors", b"\xff" * 8 + b"{}", "FOLDER/best/heads.safetensors is missing or damaged (..."),
    ("no config", "config.json", None, "encoder 'FOLDER/best': the folder has no config.json. Choices: ..."),
    ("empty config", "config.json", b"", "tokenizer 'FOLDER/best' cannot be loaded: ..."),
    ("config is a list", "config.json", b"[]", "tokenizer 'FOLDER/best' cannot be loaded: ..."),
    ("config of no model", "config.json", b"{}", "encoder 'FOLDER/best' cannot be loaded: ..."),
    ("config of an unknown model", "config.json", b'{"model_type": "nothing"}', "encoder 'FOLDER/best' cannot be loaded: ..."),
    ("config of another size", "config.json", b'{"model_type": "bert", "hidden_size": 8, "num_attention_heads": 2}', "encoder 'FOLDER/best': the checkpoint lacks..."),
    ("config with a text as size", "config.json", b'{"model_type": "bert", "hidden_size": "x"}', "tokenizer 'FOLDER/best' cannot be loaded: ..."),
    ("no weights", "model.safetensors", None, "encoder 'FOLDER/best' cannot be loaded: ..."),
    ("empty weights", "model.safetensors", b"", "encoder 'FOLDER/best' cannot be loaded: ..."),
    ("half of the weights", "model.safetensors", "half", "encoder 'FOLDER/best' cannot be loaded: ..."),
    ("weights are text", "model.safetensors", b"not safetensors at all", "encoder 'FOLDER/best' cannot be loaded: ..."),
    ("empty tokenizer", "tokenizer.json", b"", "tokenizer 'FOLDER/best' cannot be loaded: ..."),
    ("tokenizer is a list", "tokenizer.json", b"[]", "tokenizer 'FOLDER/best' cannot be loaded: ..."),
    ("half of the tokenizer", "tokenizer.json", "half", "tokenizer 'FOLDER/best' cannot be loaded: ..."),
]
# fmt: on


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
        assert predict(saved, "-") == (
            2,
            filled("<stdin>:2: not UTF-8: byte 0xff after ...", tmp_path),
        )


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ("--task pear", "the run has no task 'pear'. Did you mean 'pair'? Choices: pair."),
        ("--batch_size 0", "--batch_size: 0; it must be at least 1"),
        (
            "--batch_size x",
            "--batch_size: expected a whole number, got x\nmt-dnn predict --help lists every option.",
        ),
        (
            "--what answers",
            "--what: expected one of predictions, logits, embeddings, got answers\nmt-dnn predict --help lists every option.",
        ),
        (
            "--what embeddings --task pair",
            "embeddings are computed by the shared encoder, without a task; leave --task out",
        ),
        ("--layer 1", "--layer applies to --what embeddings only; predictions have none"),
        (
            "--what embeddings --layer 9",
            "layer: 9; the encoder has layers 0 (the output of its embeddings) to 2, or -3 to -1 counted from the last",
        ),
        ("--tasks FOLDER/none.yml", "task file FOLDER/none.yml does not exist"),
        (
            "--device tpu",
            "--device: expected one of auto, cuda, mps, cpu, got tpu\nmt-dnn predict --help lists every option.",
        ),
        ("--input FOLDER/none", "--input: file FOLDER/none does not exist"),
        ("--input FOLDER", "--input: file FOLDER does not exist"),
        (
            "--run FOLDER/none",
            "FOLDER/none is not a finished run: it has no best/mt_dnn.json. Name a run directory, or its best/ folder",
        ),
        (
            "--run FOLDER",
            "FOLDER is not a finished run: it has no best/mt_dnn.json. Name a run directory, or its best/ folder",
        ),
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
        (
            "heads.safetensors",
            float("nan"),
            "FOLDER/best/heads.safetensors: weight pair.output.bias contains NaN or infinity; restore the file, or use another model",
        ),
        (
            "heads.safetensors",
            float("inf"),
            "FOLDER/best/heads.safetensors: weight pair.output.bias contains NaN or infinity; restore the file, or use another model",
        ),
        (
            "model.safetensors",
            float("nan"),
            "encoder 'FOLDER/best': weight embeddings.LayerNorm.bias contains NaN or infinity; restore the file, or use another model",
        ),
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

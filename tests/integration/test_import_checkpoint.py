"""Checkpoints of MT-DNN, made by hand in the forms of its releases, become models of ours."""

from __future__ import annotations

import argparse
import enum
import json
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
import transformers as hf
from safetensors.torch import load_file
from torch import Tensor

import mt_dnn
from data_utils.errors import UserError
from mt_dnn.encoders.encoder import load_encoder
from mt_dnn.from_mt_dnn import importer as module
from mt_dnn.from_mt_dnn.importer import import_checkpoint
from mt_dnn.training.trainer import Trainer
from tests.support.runs import assert_same_weights, run

ROOT = Path(__file__).parents[2]
HIDDEN = 32
SIZES = {"pair": 2, "score": 1, "pick": 1}
"""Outputs of the workspace's tasks, in the order of its task file."""
PAIRS = [
    ("a good film", "the movie was great"),
    ("rain", "it is cold and dark outside"),
    ("x", "y"),
]
PICKS = [
    {"premise": "where is the dog", "hypothesis": ["in the garden", "a cold winter"]},
    {"premise": "who won", "hypothesis": ["the red team", "no", "a man with a hat"]},
]

State = dict[str, Tensor]


# --- What MT-DNN would have saved ----------------------------------------------------------------


@pytest.fixture(scope="module")
def bert(encoder_folder: Path) -> hf.BertModel:
    """The tiny encoder after a training that left no weight where it was."""
    model = hf.BertModel.from_pretrained(encoder_folder)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.0, 0.3, generator=generator)
    return model.eval()


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def linear(n_out: int, seed: int, n_in: int = HIDDEN) -> State:
    return {"weight": draw(n_out, n_in, seed=seed), "bias": draw(n_out, seed=seed + 1)}


def under(prefix: str, weights: State) -> State:
    return {f"{prefix}.{key}": tensor for key, tensor in weights.items()}


@pytest.fixture
def state(bert: hf.BertModel) -> State:
    """The form of 2019: heads on BERT's own pooler."""
    found = {f"bert.{key}": tensor.clone() for key, tensor in bert.state_dict().items()}
    found["bert.embeddings.position_ids"] = torch.arange(128)[None]  # of older transformers
    for i, size in enumerate(SIZES.values()):
        found |= under(f"scoring_list.{i}", linear(size, seed=10 + 10 * i))
    return found


def with_shared_pooler(state: State) -> State:
    return state | under("pooler.dense", linear(HIDDEN, seed=50))


def with_own_poolers(state: State) -> State:
    """The latest form: each head a sequence of a pooler and a linear layer; tagging has none."""
    found = {key: tensor for key, tensor in state.items() if key.startswith("bert.")}
    for i, size in enumerate(SIZES.values()):
        found |= under(f"scoring_list.{i}.0.dense", linear(HIDDEN, seed=60 + 10 * i))
        found |= under(f"scoring_list.{i}.1", linear(size, seed=10 + 10 * i))
    return found


def by_hand(
    bert: hf.BertModel,
    tokenizer: Any,
    pairs: list[tuple[str, str]],
    output: State,
    *,
    pooler: State | None = None,
    activation: Callable[[Tensor], Tensor] = torch.tanh,
) -> np.ndarray:
    """bert -> pooled output -> linear, as MT-DNN computes them in eval mode; a row at a time."""
    rows = []
    with torch.no_grad():
        for first, second in pairs:
            found = bert(**tokenizer(first, second, return_tensors="pt"))
            pooled = found.pooler_output  # (1, H)
            if pooler:
                first_token = found.last_hidden_state[:, 0]
                pooled = activation(first_token @ pooler["weight"].T + pooler["bias"])
            rows.append(pooled @ output["weight"].T + output["bias"])
    return torch.cat(rows).numpy()


@pytest.fixture(scope="module")
def tokenizer(encoder_folder: Path) -> Any:
    return hf.AutoTokenizer.from_pretrained(encoder_folder)


@pytest.fixture
def load(tmp_path: Path, workspace: Path, encoder_folder: Path) -> Callable[..., module.Report]:
    """Save a checkpoint, import it to ``tmp_path / "out"``."""

    def call(state: State, settings: dict[str, Any] | None = None, **options: Any) -> module.Report:
        optimizer = {"state": {0: {"step": 3, "exp_avg": torch.ones(2)}}, "param_groups": []}
        entries = {"state": state, "optimizer": optimizer, "config": settings or {"lr": 5e-5}}
        path = tmp_path / "model.pt"
        torch.save(entries, path)
        words = {
            "checkpoint": str(path),
            "tasks": str(workspace / "tasks.yml"),
            "encoder": str(encoder_folder),
            "out": str(tmp_path / "out"),
            "max_seq_len": 64,
        }
        return import_checkpoint(**{**words, **options})

    return call


# --- The same function ---------------------------------------------------------------------------


def test_logits_are_those_of_mt_dnn(load, state, bert, tokenizer, tmp_path):
    load(state)
    predictor = mt_dnn.load(tmp_path / "out")
    for i, task in enumerate(("pair", "score")):
        expected = by_hand(bert, tokenizer, PAIRS, linear(SIZES[task], seed=10 + 10 * i))
        assert np.abs(expected).max() > 0.5
        np.testing.assert_allclose(predictor.logits(task, PAIRS), expected, atol=1e-5)
    for row, logits in zip(PICKS, predictor.logits("pick", PICKS), strict=True):
        pairs = [(row["premise"], text) for text in row["hypothesis"]]
        expected = by_hand(bert, tokenizer, pairs, linear(1, seed=30))
        np.testing.assert_allclose(logits, expected[:, 0], atol=1e-5)


def test_a_pooler_that_all_heads_share_goes_before_that_of_the_encoder(
    load, state, bert, tokenizer, tmp_path
):
    report = load(with_shared_pooler(state))
    pooler, output = linear(HIDDEN, seed=50), linear(2, seed=10)
    expected = by_hand(bert, tokenizer, PAIRS, output, pooler=pooler)
    predictor = mt_dnn.load(tmp_path / "out")
    np.testing.assert_allclose(predictor.logits("pair", PAIRS), expected, atol=1e-5)
    assert report.heads["pair"] == "scoring_list.0.* on pooler.dense.*, tanh"
    assert report.unused == []
    assert len(report.used) == len(set(report.used)) == len(with_shared_pooler(state)) - 1


FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": torch.nn.functional.gelu,
    "relu": torch.relu,
    "identity": lambda x: x,
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("form", [with_shared_pooler, with_own_poolers])
def test_the_activation_may_be_another(load, state, bert, tokenizer, tmp_path, form, name):
    """Identity: what MT-DNN does where it does not find the function."""
    load(form(state), pooler_activation=name)
    pooler = linear(HIDDEN, seed=50 if form is with_shared_pooler else 70)
    expected = by_hand(
        bert, tokenizer, PAIRS, linear(1, seed=20), pooler=pooler, activation=FUNCTIONS[name]
    )
    predictor = mt_dnn.load(tmp_path / "out")
    np.testing.assert_allclose(predictor.logits("score", PAIRS), expected, rtol=1e-4, atol=1e-4)


def test_the_settings_know_the_shared_poolers_activation(load, state, tmp_path):
    report = load(with_shared_pooler(state), {"pooler_actf": "gelu"})
    assert report.heads["pair"] == "scoring_list.0.* on pooler.dense.*, gelu"
    assert "--pooler_activation identity" in report.notes[-1]
    assert mt_dnn.load(tmp_path / "out").task("pair").activation == "gelu"
    with pytest.raises(UserError, match=r"has 'swish', .*--pooler_activation.* Choices: gelu, "):
        load(with_shared_pooler(state), {"pooler_actf": "swish"}, out=str(tmp_path / "other"))
    report = load(state, {"pooler_actf": "gelu"}, out=str(tmp_path / "third"))
    assert report.heads["pair"] == "scoring_list.0.* on bert.pooler.dense.*, tanh"
    assert "--pooler_activation" not in "".join(report.notes)


def test_heads_pool_the_first_token_whatever_the_task_file_says(
    load, state, bert, tokenizer, workspace, tmp_path
):
    tasks = (workspace / "tasks.yml").read_text()
    (tmp_path / "tasks.yml").write_text(
        tasks.replace("pair:\n", "pair:\n  pooling: mean\n  actf: relu\n")
    )
    load(state, tasks=str(tmp_path / "tasks.yml"))
    expected = by_hand(bert, tokenizer, PAIRS, linear(2, seed=10))
    predictor = mt_dnn.load(tmp_path / "out")
    np.testing.assert_allclose(predictor.logits("pair", PAIRS), expected, atol=1e-5)


TAGS = """\
tag:
  data_format: Sequence
  task_type: SequenceLabeling
  labels: [O, B-x, I-x]
  metric_meta: [SeqEval]
"""


@pytest.mark.parametrize("layer", ["", ".1"])
@pytest.mark.parametrize("activation", ["tanh", "identity"])
def test_a_head_on_every_token_has_no_pooler(load, bert, tokenizer, tmp_path, layer, activation):
    """A linear layer, or a sequence of dropout and a linear layer; poolers are others' business."""
    (tmp_path / "tags.yml").write_text(TAGS)
    state = under("bert", bert.state_dict()) | under("pooler.dense", linear(HIDDEN, seed=50))
    state |= under(f"scoring_list.0{layer}", linear(3, seed=10))
    report = load(state, tasks=str(tmp_path / "tags.yml"), pooler_activation=activation)
    assert report.unused == ["pooler.dense.weight", "pooler.dense.bias"]
    words = ["a", "good", "film"]
    with torch.no_grad():
        hidden = bert(**tokenizer(" ".join(words), return_tensors="pt")).last_hidden_state
        head = linear(3, seed=10)
        expected = hidden[0, 1:4] @ head["weight"].T + head["bias"]
    (found,) = mt_dnn.load(tmp_path / "out").logits("tag", [{"tokens": words}])
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


def old_names(key: str) -> str:
    return key.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
        "LayerNorm.bias", "LayerNorm.beta"
    )


def test_old_names_of_layer_norm_half_precision_and_the_old_file_form(load, state, bert, tmp_path):
    # PyTorch 1.0 wrote no zip files.
    whole = {old_names(key): tensor for key, tensor in state.items()}
    assert sum("gamma" in key for key in whole) == 5
    report = load(whole)
    expected = {key: t for key, t in bert.state_dict().items() if not key.startswith("pooler.")}
    assert_same_weights(load_encoder(str(tmp_path / "out")).model.state_dict(), expected)
    assert "bert.embeddings.LayerNorm.gamma" in report.used
    half = {key: t.half() if t.is_floating_point() else t for key, t in state.items()}
    path = tmp_path / "legacy.pt"
    torch.save({"state": half, "config": {}}, path, _use_new_zipfile_serialization=False)
    load(state, checkpoint=str(path), out=str(tmp_path / "legacy"))
    read = load_encoder(str(tmp_path / "legacy")).model.state_dict()
    assert_same_weights(read, {key: tensor.half().float() for key, tensor in expected.items()})


def test_other_architectures_keep_the_prefix_and_tied_weights(load, workspace, tmp_path, tokenizer):
    """T5's encoder has its word embeddings twice and no pooler."""
    config = hf.T5Config(
        vocab_size=len(tokenizer), d_model=HIDDEN, d_kv=16, d_ff=48, num_layers=2, num_heads=2
    )
    model = hf.T5EncoderModel(config)
    model.save_pretrained(tmp_path / "t5")
    tokenizer.save_pretrained(tmp_path / "t5")
    with torch.no_grad():
        model.shared.weight.normal_()
    weights = under("bert", model.state_dict())
    assert (
        weights["bert.shared.weight"].data_ptr()
        == weights["bert.encoder.embed_tokens.weight"].data_ptr()
    )
    weights |= under("pooler.dense", linear(HIDDEN, seed=50))
    weights |= under("scoring_list.0", linear(2, seed=10))
    report = load(weights, encoder=str(tmp_path / "t5"), use="pair")
    assert report.used == list(weights)
    read = load_encoder(str(tmp_path / "out")).model.state_dict()
    assert_same_weights(read, model.state_dict())


# --- Whose head is whose -------------------------------------------------------------------------


def test_the_checkpoint_remembers_its_tasks_and_use_overrules_it(load, state, tmp_path):
    """pick and score have heads of equal size: only their order tells them apart."""
    report = load(state, {"train_datasets": ["pair", "pick_train", "score", "score_2"]})
    assert list(report.heads) == ["pair", "pick", "score"]
    heads = load_file(tmp_path / "out" / "heads.safetensors")
    torch.testing.assert_close(heads["pick.scorer.output.weight"], linear(1, seed=20)["weight"])
    report = load(
        state,
        {"train_datasets": ["pair", "pick", "score"]},
        use="pair, score, pick",
        out=str(tmp_path / "used"),
    )
    heads = load_file(tmp_path / "used" / "heads.safetensors")
    torch.testing.assert_close(heads["pick.scorer.output.weight"], linear(1, seed=30)["weight"])
    assert "according to the checkpoint it was trained on pair, pick, score" in report.notes


def san(n_out: int) -> State:
    return {
        **under("query_wsum.att.linear", linear(1, seed=80)),
        **under("attn.score_func.linear", linear(HIDDEN, seed=81)),
        **under("classifier.proj", linear(n_out, seed=82, n_in=4 * HIDDEN)),
        "alpha": torch.zeros(1, 1),
    }


def test_what_has_no_place_here_is_named_and_its_head_is_left_out(load, state, tmp_path, capsys):
    for kind in ("weight", "bias"):
        del state[f"scoring_list.0.{kind}"]
    state |= under("scoring_list.0", san(2)) | {"bert.decoder.0.weight": torch.zeros(3)}
    report = load(state)
    assert report.heads["pair"].startswith("new: ")
    assert report.missing == [
        f"pair.{key}"
        for key in ("pooler.0.weight", "pooler.0.bias", "output.weight", "output.bias")
    ]
    extra = [*under("scoring_list.0", san(2)), "bert.decoder.0.weight"]
    assert sorted(report.unused) == sorted(extra)
    assert report.expected == ["bert.embeddings.position_ids"]
    assert {*report.used, *report.unused, *report.expected} == set(state)
    lines = "\n".join(report.lines())
    assert "head pair   new: " in lines
    assert "scoring_list.0.alpha" in lines
    assert "missing     4  pair.pooler.0.weight, " in lines
    assert "used       43  bert.* 39, scoring_list.1.* 2, scoring_list.2.* 2" in lines
    assert "note: entries other than the weights, not imported: optimizer, config" in lines
    written = json.loads((tmp_path / "out" / "import_report.json").read_text())
    assert written["unused"] == report.unused
    assert written["used"] == report.used
    # Nothing random passes for a trained head.
    assert list(mt_dnn.load(tmp_path / "out").tasks) == ["score", "pick"]


def test_a_checkpoint_without_heads_gives_its_encoder(load, state, bert, tmp_path):
    report = load({key: t for key, t in state.items() if key.startswith("bert.")})
    assert [origin[:3] for origin in report.heads.values()] == ["new"] * 3
    pooler = load_encoder(str(tmp_path / "out")).pooler_weights()
    assert pooler is not None
    assert torch.equal(pooler[0], bert.pooler.dense.weight)


def test_a_task_that_asks_for_an_answer_network_does_not_get_a_linear_head(
    load, state, workspace, tmp_path
):
    tasks = (workspace / "tasks.yml").read_text()
    (tmp_path / "tasks.yml").write_text(tasks.replace("pair:\n", "pair:\n  enable_san: true\n"))
    report = load(state, tasks=str(tmp_path / "tasks.yml"))
    assert report.heads["pair"].startswith("new: ")
    assert report.unused == ["scoring_list.0.weight", "scoring_list.0.bias"]
    assert list(mt_dnn.load(tmp_path / "out").tasks) == ["score", "pick"]


# --- Training goes on from it --------------------------------------------------------------------


@pytest.mark.usefixtures("no_pictures")
def test_training_starts_from_it(load, state, tiny_config, tmp_path, capsys):
    load(state)
    config = tiny_config(
        model={"init_from": str(tmp_path / "out")}, train={"max_steps": 2, "predictions": False}
    )
    trainer = Trainer(config)
    assert "heads loaded: pair, score, pick; new heads: none" in capsys.readouterr().out
    heads = trainer.model.heads.state_dict()
    assert torch.equal(heads["pair.output.weight"], linear(2, seed=10)["weight"])
    assert torch.equal(heads["pick.scorer.pooler.0.weight"], state["bert.pooler.dense.weight"])
    word = "embeddings.word_embeddings.weight"
    assert torch.equal(trainer.model.encoder.model.state_dict()[word], state[f"bert.{word}"])
    run(tiny_config(name="on", model=config.model.__dict__, train={"max_steps": 1}))


# --- What is refused -----------------------------------------------------------------------------


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
    "head 'pair' belongs to several tasks": (lambda state: state, {"use": "pair,pair,pick"}),
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
def test_every_mismatch_is_named_and_nothing_is_written(load, state, tmp_path, message):
    change, options = MISTAKES[message]
    with pytest.raises(UserError, match=message):
        load(change(state), **options)
    assert not list(tmp_path.glob("out*"))


def test_a_remembered_task_that_the_file_lacks_is_named(load, state):
    with pytest.raises(UserError, match=r"trained on it .*--use.*: --tasks has no task 'rte'"):
        load(state, {"train_datasets": ["rte", "pair", "score"]})


def test_a_folder_that_exists_stays_as_it_is(load, state, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match=r"--out: .*out exists"):
        load(state)
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
def test_other_files_are_told_apart(load, tmp_path, content, message):
    path = tmp_path / "other.pt"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(UserError, match=message):
        load({}, checkpoint=str(path))


# --- No code of the file's runs ------------------------------------------------------------------


class Bomb:
    """Its pickle says: call this function."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (exploded, ("now",))


def exploded(when: str) -> None:
    raise AssertionError(f"code of the file ran: {when}")


@pytest.mark.parametrize("old_form", [False, True])
def test_an_object_whose_code_would_run_is_refused(load, state, tmp_path, old_form):
    path = tmp_path / "bomb.pt"
    entries = {"state": state, "config": {"x": Bomb()}}
    torch.save(entries, path, _use_new_zipfile_serialization=not old_form)
    with pytest.raises(AssertionError, match="code of the file ran"):
        torch.load(path, weights_only=False)
    with pytest.raises(UserError, match=r"refused, because reading its .*exploded would run code"):
        load(state, checkpoint=str(path))
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


def test_settings_of_mt_dnns_own_classes_are_read_without_them(load, state, tmp_path, monkeypatch):
    path = tmp_path / "newer.pt"
    save_with_settings(state, path, monkeypatch)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)
    report = load({}, checkpoint=str(path))
    assert list(report.heads) == ["pair", "pick", "score"]  # train_datasets was read


# --- The command ---------------------------------------------------------------------------------


def test_the_command(load, state, workspace, encoder_folder, tmp_path, command):
    torch.save({"state": state}, tmp_path / "model.pt")
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

"""The mean of models: by hand, to the last bit, and only of what goes together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

import mt_dnn
from data_utils.errors import UserError
from mt_dnn.encoders.load import load_encoder
from mt_dnn.publish.average import average, mean
from mt_dnn.runs.model_folder import read_scores
from tests.support.encoders import tiny_encoder_folder
from tests.support.model_folders import tasks_of, write_model

TASKS = """\
pair: {data_format: PremiseAndOneHypothesis, task_type: Classification, labels: [same, other], metric_meta: [ACC]}
words: {data_format: Sequence, task_type: SequenceLabeling, labels: [O, B], metric_meta: [ACC]}
"""


def named(*states: dict[str, Tensor]) -> list[tuple[str, dict[str, Tensor]]]:
    return [(f"run{i}", state) for i, state in enumerate(states)]


def test_mean_by_hand():
    found = mean(
        named(
            {"w": torch.tensor([[1.0, -2.0]]), "b": torch.tensor([0.0])},
            {"w": torch.tensor([[4.0, 2.0]]), "b": torch.tensor([1.0])},
            {"w": torch.tensor([[1.0, 3.0]]), "b": torch.tensor([0.5])},
        )
    )
    assert torch.equal(found["w"], torch.tensor([[2.0, 1.0]]))
    assert torch.equal(found["b"], torch.tensor([0.5]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("count", [2, 3, 7, 10])
def test_the_mean_of_one_tensor_with_itself_is_that_tensor(dtype, count):
    tensor = torch.randn(1000, generator=torch.Generator().manual_seed(0)).to(dtype)
    tensor[:3] = torch.tensor([torch.finfo(dtype).max, torch.finfo(dtype).tiny, -0.0])
    found = mean(named(*[{"w": tensor}] * count))["w"]
    assert found.dtype == dtype
    assert torch.equal(found, tensor)
    assert torch.equal(found.signbit(), tensor.signbit())


def test_half_precision_is_summed_in_more():
    """One by one in bfloat16, the ones would be lost beside 256."""
    values = (torch.tensor([value]).bfloat16() for value in (256.0, 1.0, 1.0, 2.0))
    assert mean(named(*({"w": value} for value in values)))["w"].item() == 65.0  # and not 64.5


def test_what_goes_in_stays_as_it_is():
    one, other = (torch.full((2,), value, dtype=torch.float64) for value in (1.0, 2.0))
    assert mean(named({"w": one}, {"w": other}))["w"].tolist() == [1.5, 1.5]
    assert one.tolist() == [1.0, 1.0]
    assert other.tolist() == [2.0, 2.0]


def test_integers_must_agree():
    ids, flag = torch.arange(4), torch.tensor([True])
    found = mean(named({"ids": ids, "flag": flag}, {"ids": ids.clone(), "flag": flag}))
    assert torch.equal(found["ids"], ids)
    assert found["ids"].dtype == ids.dtype
    with pytest.raises(UserError, match="run0 and run2 differ in ids, which holds integers"):
        mean(named({"ids": ids}, {"ids": ids}, {"ids": ids + 1}))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"a": torch.zeros(2, 3)}, r"run0 and run1 differ: only run0 has b"),
        (
            {"a": torch.zeros(2, 3), "b": torch.zeros(1), "c": torch.zeros(1)},
            r"run0 and run1 differ: only run1 has c",
        ),
        (
            {"a": torch.zeros(3, 2), "b": torch.zeros(1)},
            r"run0 and run1 differ: a has shape \(2, 3\) and \(3, 2\)",
        ),
        (  # which would broadcast
            {"a": torch.zeros(1, 3), "b": torch.zeros(1)},
            r"run0 and run1 differ: a has shape \(2, 3\) and \(1, 3\)",
        ),
    ],
)
def test_tensors_that_do_not_fit_are_named(other, message):
    with pytest.raises(UserError, match=message):
        mean(named({"a": torch.zeros(2, 3), "b": torch.zeros(1)}, other))


@pytest.fixture
def make(tmp_path, encoder_folder):
    """``make("a", seed=1)``: the run a, whose weights, encoder and heads, are its own."""

    def make(
        name: str,
        *,
        tasks: str = TASKS,
        encoder: Path = encoder_folder,
        seed: int = 0,
        **model: str,
    ) -> str:
        run = tmp_path / name
        write_model(run / "best", tasks_of(tmp_path, tasks), encoder, seed=seed, **model)
        return str(run)

    return make


def files(folder: str | Path) -> dict[str, Tensor]:
    folder = Path(folder)
    folder = folder / "best" if (folder / "best").exists() else folder
    return load_file(folder / "model.safetensors") | load_file(folder / "heads.safetensors")


def test_encoder_and_heads_are_averaged_and_load(make, tmp_path):
    runs = [make(name, seed=seed) for seed, name in enumerate("abc")]
    out = tmp_path / "soup"
    assert average(runs, str(out)) == [f"{run}/best" for run in runs]
    found, parts = files(out), [files(run) for run in runs]
    assert found.keys() == parts[0].keys()
    assert {"pair.output.weight", "words.output.bias"} < found.keys()
    moved = 0
    for name, tensor in found.items():
        own = [part[name].numpy().astype("float64") for part in parts]
        assert (
            tensor.numpy().tolist() == ((own[0] + own[1] + own[2]) / 3).astype("float32").tolist()
        )
        moved += int(not torch.equal(tensor, parts[0][name]))
    assert moved > 30  # all but the pretrained pooler
    predictor = mt_dnn.load(out)
    state = predictor.model.state_dict()
    assert torch.equal(state["heads.pair.output.weight"], found["pair.output.weight"])
    assert predictor.max_seq_len == 32
    assert predictor.predict("pair", [("a dog", "a cat")])[0].prediction in ("same", "other")


def test_what_was_averaged_is_said_and_no_score_is(make, tmp_path):
    runs = [make("a"), make("b", seed=1)]
    average(runs, str(tmp_path / "soup"))
    facts = json.loads((tmp_path / "soup" / "mt_dnn.json").read_text())
    assert facts["averaged"] == [f"{run}/best" for run in runs]
    assert "step" not in facts
    assert read_scores(Path(runs[0]) / "best")
    assert read_scores(tmp_path / "soup") == {}
    card = (tmp_path / "soup" / "README.md").read_text()
    assert "The mean of the weights of 2 models" in card
    assert "dev score" not in card


def test_one_run_averaged_with_itself_is_itself_bit_for_bit(make, tmp_path):
    run = make("a")
    average([run, f"{run}/best", run], str(tmp_path / "soup"))
    found, own = files(tmp_path / "soup"), files(run)
    assert found.keys() == own.keys()
    assert all(torch.equal(found[name], own[name]) for name in own)


def test_how_they_were_trained_may_differ(make, tmp_path):
    """Soups are mostly made over hyperparameters."""
    other = TASKS.replace(
        "task_type: Classification,", "task_type: Classification, weight: 2, dropout_p: 0.3,"
    )
    average([make("a"), make("b", tasks=other)], str(tmp_path / "soup"))
    assert mt_dnn.load(tmp_path / "soup").tasks["pair"].weight == 1.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tasks": TASKS.splitlines()[0]}, r"tasks: \['pair', 'words'\] and \['pair'\]"),
        (
            {"tasks": TASKS.replace("[same, other]", "[other, same]")},
            r"task 'pair': labels: \('same', 'other'\) and \('other', 'same'\)",
        ),
        (
            {"tasks": TASKS.replace("[same, other]", "[same, other, third]")},
            r"task 'pair': n_class: 2 and 3",
        ),
        (
            {"tasks": TASKS.replace("[same, other]", "[same, other], pooling: mean")},
            r"task 'pair': pooling: 'cls' and 'mean'",
        ),
        ({"activation": "gelu"}, r"task 'pair': actf: 'tanh' and 'gelu'"),
    ],
)
def test_tasks_that_differ_are_named(make, tmp_path, changes, message):
    runs = [make("a"), make("b", **changes)]
    with pytest.raises(
        UserError, match=rf"a/best and .*b/best differ in more than their weights: {message}"
    ):
        average(runs, str(tmp_path / "soup"))
    assert not (tmp_path / "soup").exists()


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("config.json", {"num_attention_heads": 4}, "encoder's num_attention_heads: 2 and 4"),
        ("config.json", {"hidden_act": "relu"}, "encoder's hidden_act: 'gelu' and 'relu'"),
        ("tokenizer_config.json", {"do_lower_case": False}, "tokenizer: "),
    ],
)
def test_encoders_and_tokenizers_that_differ_are_named(make, tmp_path, file, changes, message):
    runs = [make("a"), make("b")]
    path = Path(runs[1]) / "best" / file
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(UserError, match=f"differ in more than their weights: {message}"):
        average(runs, str(tmp_path / "soup"))


def test_dropout_may_differ(make, still_encoder_folder, tmp_path):
    average([make("a"), make("b", encoder=still_encoder_folder)], str(tmp_path / "soup"))


def test_runs_from_different_encoders_are_refused(make, tmp_path):
    """Their weights fit, and their mean is nothing."""
    elsewhere = tiny_encoder_folder(tmp_path / "elsewhere", seed=1)
    assert load_encoder(str(elsewhere)).pooler_weights() is not None
    runs = [make("a"), make("b", encoder=elsewhere)]
    with pytest.raises(UserError, match="differ in more than their weights: pretrained pooler"):
        average(runs, str(tmp_path / "soup"))


def test_how_many_runs(make, tmp_path):
    run = make("a")
    with pytest.raises(UserError, match="give at least two runs, or add --checkpoints"):
        average([run], str(tmp_path / "soup"))
    with pytest.raises(UserError, match="the checkpoints of one run; give --run one folder"):
        average([run, run], str(tmp_path / "soup"), checkpoints=True)
    with pytest.raises(UserError, match="has 0 checkpoints, but at least two are needed"):
        average([run], str(tmp_path / "soup"), checkpoints=True)
    with pytest.raises(UserError, match="contains the input model"):
        average([run, make("b")], run, overwrite=True)

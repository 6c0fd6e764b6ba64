"""Finished runs are published and averaged: mt-dnn export, mt-dnn average."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers as hf
from safetensors.torch import load_file

import mt_dnn
import predict
from mt_dnn.inference.predictor import Predictor
from mt_dnn.publish import average, export
from mt_dnn.tracking.tensorboard import TensorBoard
from mt_dnn.training.checkpoint_folders import checkpoint_folders
from mt_dnn.training.trainer import Trainer
from tests.support.commands import Command
from tests.support.finished_run import Run
from tests.support.workspace import TinyConfig

PAIR = ("a dog in the garden", "the cat is asleep")


@pytest.fixture(scope="module")
def two_runs(
    config_in: Callable[[Path], TinyConfig], tmp_path_factory: pytest.TempPathFactory
) -> list[Path]:
    """From one encoder, with other seeds; first-token heads with tanh; two checkpoints each."""
    config = config_in(tmp_path_factory.mktemp("runs"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TensorBoard, "takes_images", False)
        runs = []
        for seed in (1, 2):
            trainer = Trainer(config(name=f"seed{seed}", seed=seed, train={"keep": 2}))
            trainer.fit()
            runs.append(trainer.run_dir)
    return runs


def best(run: Path) -> dict[str, torch.Tensor]:
    folder = run / "best" if (run / "best").exists() else run
    return load_file(folder / "model.safetensors") | load_file(folder / "heads.safetensors")


def test_the_encoder_of_a_run(
    run: Run, predictor: Predictor, command: Command, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "encoder"
    code, said, err = command(export.main, "--run", run.folder, "--out", out)
    assert (code, err) == (0, "")
    assert said == f"written: {out}; load it with AutoModel; its outputs equal the run's\n"
    tokenizer = hf.AutoTokenizer.from_pretrained(out)
    model = hf.AutoModel.from_pretrained(out).eval()
    for text in ("a dog", "the house of the king is old and the river is deep"):
        with torch.inference_mode():
            hidden = model(**tokenizer(text, return_tensors="pt")).last_hidden_state
        own = torch.from_numpy(predictor.embeddings([text], pooling="cls"))
        assert torch.equal(hidden[:, 0], own)
    assert [path.name for path in out.parent.iterdir()] == ["encoder"]


def test_a_task_of_a_run(two_runs: list[Path], command: Command, tmp_path: Path) -> None:
    predictor = mt_dnn.load(two_runs[0])
    for task in ("pair", "score"):
        out = tmp_path / task
        code, said, err = command(export.main, "--run", two_runs[0], "--task", task, "--out", out)
        assert (code, err) == (0, "")
        assert "load it with AutoModelForSequenceClassification;" in said
        tokenizer = hf.AutoTokenizer.from_pretrained(out)
        model = hf.AutoModelForSequenceClassification.from_pretrained(out).eval()
        with torch.inference_mode():
            logits = model(**tokenizer(*PAIR, return_tensors="pt")).logits
        own = torch.from_numpy(predictor.logits(task, [PAIR]))
        torch.testing.assert_close(logits, own, rtol=1e-5, atol=1e-6)
        if task == "pair":
            word = model.config.id2label[int(logits.argmax())]
            assert word == predictor.predict(task, [PAIR])[0].prediction
            assert set(model.config.label2id) == {"same", "other"}
            assert "pair | ACC | " in (out / "README.md").read_text()


def test_the_candidates_of_a_run(two_runs: list[Path], command: Command, tmp_path: Path) -> None:
    code, _, err = command(
        export.main, "--run", two_runs[0], "--task", "pick", "--out", tmp_path / "out"
    )
    assert (code, err) == (0, "")
    question, *answers = "where is the dog", "in the garden", "a king", "the cat is old"
    tokenizer = hf.AutoTokenizer.from_pretrained(tmp_path / "out")
    model = hf.AutoModelForMultipleChoice.from_pretrained(tmp_path / "out").eval()
    inputs = tokenizer([question] * 3, answers, padding=True, return_tensors="pt")
    with torch.inference_mode():
        logits = model(**{name: tensor.unsqueeze(0) for name, tensor in inputs.items()}).logits
    (own,) = mt_dnn.load(two_runs[0]).logits("pick", [(question, *answers)])
    torch.testing.assert_close(logits[0], torch.from_numpy(own), rtol=1e-5, atol=1e-6)


def test_mistakes_end_with_code_2_and_leave_nothing(
    run: Run, command: Command, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("all of it")
    for args, message in (
        (
            ["--run", run.folder, "--task", "nli", "--out", out],
            "error: task 'nli' has no counterpart in transformers: pooling mean (or model.pooling of "
            "the run); heads of transformers read the first token, cls. Load the run with mt_dnn.load instead\n",
        ),
        (["--run", run.folder, "--task", "nil", "--out", out], "has no task 'nil'. Did you mean"),
        (["--run", tmp_path, "--out", out], "is not a finished run"),
        (["--run", run.folder, "--out", tmp_path / "full"], "is not empty"),
        (["--run", run.folder, "--out", tmp_path / "full", "--overwrite"], "is not a model folder"),
        (["--run", run.folder, "--out", run.folder, "--overwrite"], "contains the input model"),
        (["--run", run.folder], "missing: --out"),
    ):
        code, said, err = command(export.main, *args)
        assert (code, said) == (2, ""), err
        assert message in err
    for args, message in (
        (["--run", run.folder, "--out", out], "give at least two runs"),
        (["--run", run.folder, tmp_path, "--out", out], "is not a finished run"),
        (
            ["--run", run.folder, "--checkpoints", "--out", out],
            "0 checkpoints, but at least two are needed",
        ),
        (["--run", run.folder, run.folder, "--out", tmp_path / "full"], "is not empty"),
    ):
        code, said, err = command(average.main, *args)
        assert (code, said) == (2, ""), err
        assert message in err
    assert [path.name for path in tmp_path.rglob("*")] == ["full", "thesis.txt"]
    assert (run.folder / "best" / "mt_dnn.json").exists()


def test_runs_of_other_tasks_are_not_averaged(
    run: Run, two_runs: list[Path], command: Command, tmp_path: Path
) -> None:
    code, _, err = command(
        average.main, "--run", run.folder, two_runs[0], "--out", tmp_path / "out"
    )
    assert code == 2
    assert "tasks: ['nli', 'rank', 'sim', 'tone'] and ['pair', 'pick', 'score']" in err
    assert list(tmp_path.iterdir()) == []


def test_two_runs_are_averaged_and_their_mean_is_a_model(
    two_runs: list[Path], command: Command, tmp_path: Path, config_in: Callable[[Path], TinyConfig]
) -> None:
    out = tmp_path / "soup"
    code, said, err = command(average.main, "--run", *two_runs, "--out", out)
    assert (code, err) == (0, "")
    assert said.splitlines() == [
        "averaged:",
        *(f"  {run}/best" for run in two_runs),
        f"written: {out}",
    ]
    one, two, found = best(two_runs[0]), best(two_runs[1]), best(out)
    assert not torch.equal(one["pair.output.weight"], two["pair.output.weight"])
    for name, tensor in found.items():
        assert torch.equal(tensor, ((one[name].double() + two[name].double()) / 2).float()), name
    (tmp_path / "rows.tsv").write_text("\t".join(PAIR) + "\n")
    code, said, _ = command(
        predict.main, "--run", out, "--task", "pair", "--input", tmp_path / "rows.tsv"
    )
    assert code == 0
    assert json.loads(said)["prediction"] == mt_dnn.load(out).predict("pair", [PAIR])[0].prediction
    again = Trainer(config_in(tmp_path / "runs")(model={"init_from": str(out)}))
    state = again.model.state_dict()
    assert torch.equal(state["heads.pair.output.weight"], found["pair.output.weight"])
    code, _, _ = command(
        export.main, "--run", out, "--task", "pair", "--out", tmp_path / "published"
    )
    assert code == 0


def test_the_checkpoints_of_a_run_are_averaged(
    two_runs: list[Path], command: Command, tmp_path: Path
) -> None:
    code, said, err = command(
        average.main, "--run", two_runs[0], "--checkpoints", "--out", tmp_path / "out"
    )
    assert (code, err) == (0, "")
    folders = checkpoint_folders(two_runs[0])
    assert len(folders) == 2
    assert said.splitlines()[1:3] == [f"  {folder}" for folder in folders]
    one, two = (load_file(folder / "model.safetensors") for folder in folders)
    state = mt_dnn.load(tmp_path / "out").model.state_dict()
    assert one.keys() <= state.keys()
    assert any(not torch.equal(one[name], two[name]) for name in one)
    for name in one:
        mean = ((one[name].double() + two[name].double()) / 2).float()
        assert torch.equal(state[name], mean), name

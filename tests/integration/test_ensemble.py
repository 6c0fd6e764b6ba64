"""Several runs answer as one: the mean of their logits, and which runs do not go together."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import AutoTokenizer, BertTokenizer

import mt_dnn
import predict
from data_utils.errors import UserError
from mt_dnn.config.bounds import resolve_config
from mt_dnn.encoders.pretrained import load_tokenizer
from mt_dnn.inference.ensemble import Ensemble
from mt_dnn.registries import TASK_TYPES
from mt_dnn.runs.model_folder import save_model_folder
from mt_dnn.runs.stores import select_tasks
from mt_dnn.task_types import load_tasks
from mt_dnn.training.assemble import build_model
from tests.support.commands import Command
from tests.support.tasks import make_task
from tests.support.words import vocabulary
from tests.support.workspace import TASKS

WORDS = """\
words: {data_format: Sequence, task_type: SequenceLabeling, labels: [O, B-x], metric_meta: [ACC], max_seq_len: 8}
"""
ROWS: dict[str, list[Any]] = {
    "pair": [("a good film", "all day"), ("about", "after all that is said"), ("the", "war")],
    "score": [("a good film", "all day"), ("about", "after all")],
    "pick": [
        {"premise": "a good", "hypothesis": ["film", "all day"]},
        {"premise": "about", "hypothesis": ["after all", "war", "a very long war"]},
    ],
    "words": [{"tokens": ["a", "good", "film", "zz", "all", "day", "war"]}, {"tokens": ["war"]}],
}


@pytest.fixture
def untrained(tiny_config, tmp_path: Path) -> Callable[..., Path]:
    """``untrained("a", seed=1)``: the folder of a run whose model is as it was drawn, only louder."""

    def make(name: str, *, tasks: str = TASKS + WORDS, **overrides: Any) -> Path:
        path = tmp_path / f"{name}.yml"
        path.write_text(tasks)
        data = {"tasks": str(path), **overrides.pop("data", {})}
        config = resolve_config(tiny_config(name=name, data=data, **overrides))
        tokenizer = load_tokenizer(config.model.encoder)
        model = build_model(config, select_tasks(config.data), tokenizer, print)
        generator = torch.Generator().manual_seed(config.seed)
        with torch.no_grad():
            for parameter in model.heads.parameters():
                parameter.normal_(generator=generator)
        run = tmp_path / name
        save_model_folder(
            run / "best", model=model, tokenizer=tokenizer, config=config, step=0, scores={}
        )
        return run

    return make


@pytest.fixture
def runs(untrained) -> list[Path]:
    return [untrained(name, seed=seed) for seed, name in enumerate("abc", start=1)]


@pytest.mark.parametrize("task", ROWS)
def test_its_logits_are_the_mean_of_its_members(runs, task):
    members = [mt_dnn.load(run).logits(task, ROWS[task]) for run in runs]
    found = mt_dnn.load(runs).logits(task, ROWS[task])
    assert not np.allclose(members[0][0], members[1][0], equal_nan=True)
    for one, *each in zip(found, *members, strict=True):
        np.testing.assert_allclose(one, np.mean(each, 0), rtol=1e-5, atol=1e-6)


def test_it_predicts_by_the_normalized_geometric_mean(runs):
    members = [mt_dnn.load(run).predict("pair", ROWS["pair"]) for run in runs]
    for found, *each in zip(mt_dnn.load(runs).predict("pair", ROWS["pair"]), *members, strict=True):
        product = np.prod([list(answer.scores.values()) for answer in each], 0) ** (1 / 3)
        assert list(found.scores.values()) == pytest.approx(list(product / product.sum()), rel=1e-4)
        assert found.scores[found.prediction] == max(found.scores.values())


def test_one_run_in_a_list_is_that_run(runs):
    one, listed = (mt_dnn.load(run).logits("score", ROWS["score"]) for run in (runs[0], [runs[0]]))
    assert np.array_equal(one, listed)
    assert not isinstance(mt_dnn.load([runs[0]]).model, Ensemble)


def test_a_cut_word_has_no_logits_and_keeps_the_place_of_the_others(runs):
    first, second = mt_dnn.load(runs[:2]).logits("words", ROWS["words"])
    assert (first.shape, second.shape) == ((7, 2), (1, 2))
    assert np.isnan(first).all(-1).tolist() == [False] * 5 + [True] * 2


def test_a_task_that_shares_a_head_is_answered_by_every_member(runs, tmp_path):
    path = tmp_path / "later.yml"
    path.write_text(
        "probe: {extends: a.yml#pair, head: pair}\nodd: {extends: a.yml#pair, head: x}\n"
    )
    later = load_tasks(path)
    predictor = mt_dnn.load(runs)
    predictor.add_task(later["probe"])
    found, expected = (predictor.logits(name, ROWS["pair"]) for name in ("probe", "pair"))
    assert np.array_equal(found, expected)
    with pytest.raises(UserError, match="the run has no head 'x'"):
        predictor.add_task(later["odd"])


@pytest.fixture
def cli(command: Command) -> Command:
    """``predict.py`` in this process."""
    return lambda *args: command(predict.main, *args, "--device", "cpu")


def test_the_command_takes_several_runs(runs, cli, workspace):
    rows = workspace / "pair_dev.tsv"
    code, out, err = cli("--run", *runs, "--task", "pair", "--input", rows, "--what", "logits")
    assert (code, err) == (0, "")
    texts = [line.split("\t")[2:] for line in rows.read_text().splitlines()]
    expected = mt_dnn.load(runs).logits("pair", texts)
    found = [json.loads(line)["logits"] for line in out.splitlines()]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    code, out, err = cli("--run", *runs, "--task", "pair", "--input", rows)
    assert code == 0
    assert err.startswith("pair: ACC ")


def test_the_command_writes_null_for_a_cut_word(runs, cli, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS["words"]))
    code, out, _ = cli("--run", *runs, "--task", "words", "--input", path, "--what", "logits")
    assert code == 0
    assert "NaN" not in out
    first, _ = (json.loads(line)["logits"] for line in out.splitlines())
    assert [word is None for word in first] == [False] * 5 + [True] * 2


# What does not go together.


def test_the_command_needs_a_run(cli):
    code, _, err = cli("--task", "pair")
    assert code == 2
    assert "run" in err


def refused(*words: str, runs: list[Path]) -> None:
    with pytest.raises(UserError) as error:
        mt_dnn.load(runs)
    for word in words:
        assert word in str(error.value)


def test_runs_that_read_other_tokens(untrained, encoder_folder, tmp_path):
    one = untrained("one")
    refused(
        "max_seq_len 32", "64", str(one), runs=[one, untrained("two", data={"max_seq_len": 32})]
    )
    cased = tmp_path / "cased"
    cased.mkdir()
    for path in encoder_folder.iterdir():
        (cased / path.name).write_bytes(path.read_bytes())
    BertTokenizer(vocab=vocabulary(), do_lower_case=False).save_pretrained(cased)
    assert len(AutoTokenizer.from_pretrained(cased)) > 0
    three = untrained("three", model={"encoder": str(cased)})
    refused("three has another tokenizer than", "one", runs=[one, three])


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("[same, other]", "[other, same]", "labels is ('same', 'other') in"),
        ("task_type: Ranking", "task_type: MultipleChoice", "task_type is 'Ranking' in"),
        (
            "max_seq_len: 8",
            "max_seq_len: 9",
            "task 'words' is not the same in all runs: max_seq_len",
        ),
    ],
)
def test_runs_that_define_a_task_differently(untrained, old, new, named):
    one, two = untrained("one"), untrained("two", tasks=(TASKS + WORDS).replace(old, new))
    refused(named, str(one), str(two), runs=[one, two])


def test_only_tasks_that_all_have_are_answered(untrained):
    one, two = untrained("one"), untrained("two", tasks=WORDS)
    predictor = mt_dnn.load([one, two])
    assert list(predictor.tasks) == ["words"]
    with pytest.raises(UserError, match=r"not every run has task 'pair'. Choices: words\."):
        predictor.logits("pair", ROWS["pair"])
    refused("no task is in all of the runs", runs=[two, untrained("three", tasks=TASKS)])
    refused("there is no run to load", runs=[])


def test_embeddings_are_of_one_encoder(runs, cli, tmp_path):
    (tmp_path / "texts.tsv").write_text("a good film\n")
    code, _, err = cli("--run", *runs, "--what", "embeddings", "--input", tmp_path / "texts.tsv")
    assert code == 2
    assert (
        err
        == "error: embeddings come from one encoder, and an ensemble has several; load a single run\n"
    )


def test_texts_are_written_by_one_run():
    class Writer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tasks = {"t": make_task("SequenceGeneration")}
            self.task_types = {"t": TASK_TYPES.get("SequenceGeneration")}

    class Batch:
        task = "t"

    ensemble = Ensemble([Writer(), Writer()], ["a", "b"])
    with pytest.raises(
        UserError, match="task 't': SequenceGeneration writes a text token by token"
    ):
        ensemble.infer(Batch())

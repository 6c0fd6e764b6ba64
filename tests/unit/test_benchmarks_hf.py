"""benchmarks/hf_trainer.py: Hugging Face's Trainer trains in rounds, on the rows of our stores."""

from __future__ import annotations

from itertools import chain
from multiprocessing import get_context

import numpy as np
import pytest
from torch.utils.data import SequentialSampler
from transformers import AutoTokenizer

from benchmarks import hf_program, hf_trainer
from benchmarks.hf_program import GROUPED, RANDOM, HFProgram, Job
from data_utils.errors import UserError
from data_utils.sources import find_source
from data_utils.store import TaskStore, ensure_store
from tests.support.encoders import tiny_encoder_folder
from tests.support.tasks import make_task
from tests.support.words import WORDS

ROWS, SIZE, STEPS, ROUNDS = 66, 4, 6, 3
TASK = make_task(labels=("no", "yes"))


class Scripted:
    """Ask for every round at once; keep what is sent, and when."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.sent: list[tuple[float, float]] = []

    def send(self, obj: tuple[float, float], /) -> None:
        self.log.append("sent")
        self.sent.append(obj)

    def recv(self) -> None:
        self.log.append("asked")


@pytest.fixture(scope="module")
def job(tmp_path_factory) -> Job:
    """A tiny encoder, and rows of 3 to 35 tokens."""
    folder = tmp_path_factory.mktemp("hf")
    encoder = tiny_encoder_folder(folder / "encoder")
    rng = np.random.default_rng(0)
    labels = ("no", "yes")
    texts = [" ".join(rng.choice(WORDS, 1 + i // 2)) for i in range(ROWS)]
    lines = [f"{i}\t{labels[i % 2]}\t{text}\n" for i, text in enumerate(texts)]
    (folder / "t_train.tsv").write_text("".join(lines))
    store = ensure_store(
        TASK,
        "train",
        source=find_source(TASK, "train", folder),
        tokenizer=AutoTokenizer.from_pretrained(encoder),
        max_seq_len=40,
        store_dir=folder / "store",
    )
    return Job(str(encoder), store.folder, 2, GROUPED, "fp32", "cpu", SIZE, STEPS, ROUNDS)


@pytest.mark.parametrize("sampling", [GROUPED, RANDOM])
def test_a_round_starts_when_it_is_asked_for_and_tells_its_tokens(job, sampling, monkeypatch):
    seen: list[list[int]] = []
    step = hf_trainer.Trainer.training_step

    def spy(self, model, inputs, *args, **kwargs):
        seen.append(inputs["attention_mask"].sum(dim=1).tolist())
        return step(self, model, inputs, *args, **kwargs)

    monkeypatch.setattr(hf_trainer.Trainer, "training_step", spy)
    turns = Scripted()
    hf_trainer.train(turns, Job(**{**vars(job), "sampling": sampling}))
    assert turns.log == ["asked", "sent"] * ROUNDS
    assert all(seconds > 0 for seconds, _ in turns.sent)
    rounds = [seen[i : i + STEPS] for i in range(0, len(seen), STEPS)]
    assert [tokens for _, tokens in turns.sent] == [sum(map(sum, batches)) for batches in rounds]
    # The first epoch is 16 whole batches, then one of 2 rows: every row once.
    epoch = seen[:17]
    assert [len(batch) for batch in epoch] == [SIZE] * 16 + [2]
    assert sorted(chain(*epoch)) == sorted(TaskStore(job.store).lengths.tolist())
    spread = np.mean([max(batch) - min(batch) for batch in epoch[:16]])
    assert spread < 10 if sampling == GROUPED else spread > 15  # of 32
    # Trainer's own order by length is descending within these four batches.
    sizes = [sum(batch) for batch in epoch[:16]]
    fours = [sizes[i : i + 4] for i in range(0, 16, 4)]
    assert any(four != sorted(four, reverse=True) for four in fours)


def test_rows_are_those_of_the_store_without_padding(job):
    store = TaskStore(job.store)
    rows = hf_trainer.token_rows(job.store)
    assert [len(row["input_ids"]) for row in rows] == store.lengths.tolist()
    assert [row["labels"] for row in rows] == [i % 2 for i in range(ROWS)]
    last = store.take([ROWS - 1])
    assert rows[-1]["input_ids"] == last["input_ids"][0].tolist()
    assert rows[-1]["token_type_ids"] == last["token_type_ids"][0].tolist()


def test_batches_change_places_and_stay_whole():
    sampler = hf_trainer.ShuffledBatches(SequentialSampler(range(22)), 4)
    order = list(sampler)
    whole = [order[i : i + 4] for i in range(0, 20, 4)]
    assert len(sampler) == 22
    assert order[20:] == [20, 21]
    assert sorted(whole) == [list(range(i, i + 4)) for i in range(0, 20, 4)] != whole
    assert list(sampler) != order  # each epoch has its own order


def one_round(turns, job, threads) -> None:
    turns.recv()
    turns.send((0.5, 7.0))


def test_a_program_takes_one_round_at_each_call_and_tells_that_its_process_ended(job, monkeypatch):
    monkeypatch.setattr(hf_program, "_serve", one_round)
    monkeypatch.setattr(hf_program, "get_context", lambda _: get_context("fork"))  # sees one_round
    with HFProgram(job) as program:
        assert program(0) == 0.5
        assert program.tokens == [7.0]
        with pytest.raises(UserError, match="Trainer stopped"):
            program(1)
    assert not program._process.is_alive()

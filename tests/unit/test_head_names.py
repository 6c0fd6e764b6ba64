"""Heads with the names of attributes of modules, and lengths beyond the encoder's positions."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
import transformers as hf
from safetensors.torch import load_file

import mt_dnn
from data_utils.errors import UserError
from mt_dnn.config.run import ModelConfig
from mt_dnn.encoders.architecture import check_lengths
from mt_dnn.encoders.encoder import Encoder
from mt_dnn.model import MTDNN
from tests.support.encoders import tiny_encoder
from tests.support.model_folders import tasks_of, write_model

NAMES = ("type", "keys", "train", "values", "forward", "items", "plain", "T_destination")
CLS = "{data_format: PremiseOnly, task_type: Classification, n_class: 2, metric_meta: [ACC]}"


def test_a_task_may_have_the_name_of_an_attribute(tmp_path: Path, encoder_folder: Path) -> None:
    tasks = tasks_of(tmp_path, "".join(f"{name}: {CLS}\n" for name in NAMES))
    model = write_model(tmp_path / "best", tasks, encoder_folder)
    assert list(model.heads) == [name for name, _ in model.heads.items()] == list(NAMES)
    assert "train" in model.heads
    assert "eval" not in model.heads
    names = {name.partition(".")[0] for name in load_file(tmp_path / "best" / "heads.safetensors")}
    assert {"plain", "train:"} <= names, "names of existing runs stay"
    loaded = mt_dnn.load(tmp_path / "best")
    for name in NAMES:
        own, other = model.heads[name].state_dict(), loaded.model.heads[name].state_dict()
        assert all(torch.equal(own[key], other[key]) for key in own)
        assert len(loaded.predict(name, ["good day"])) == 1
    state = {name: weight + 1 for name, weight in model.state_dict().items()}
    model.load_state_dict(state)
    assert model.train().heads["train"].training
    rows = loaded.model.batch("train", ["good day"])
    model.eval()
    moved = {name: weight - 1 for name, weight in model.state_dict().items()}
    back = torch.func.functional_call(model, moved, (rows,))
    assert torch.allclose(back, loaded.model(rows), atol=1e-4)


@pytest.fixture
def roberta() -> Encoder:
    """66 position rows, of which 64 are used: the padding index is 1."""
    config = hf.RobertaConfig(
        vocab_size=50,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=66,
        pad_token_id=1,
    )
    return Encoder.from_config(config).eval()


def test_roberta_has_fewer_positions_than_rows(roberta: Encoder) -> None:
    assert roberta.positions == 64
    assert tiny_encoder().positions == 64
    ids = torch.full((1, 64), 5)
    assert roberta.encode(roberta.embed(ids), None).shape == (1, 64, 8)
    longer = roberta.embed(torch.full((1, 65), 5))
    with pytest.raises((IndexError, RuntimeError)):
        roberta.encode(longer, None)


def test_lengths_beyond_the_positions_are_refused(tmp_path: Path, roberta: Encoder) -> None:
    tasks = tasks_of(tmp_path, f"t: {CLS}\n")
    check_lengths(tasks, 64, roberta.positions, "roberta")
    with pytest.raises(UserError, match=r"data\.max_seq_len: 65 exceeds the 64 positions"):
        check_lengths(tasks, 65, roberta.positions, "roberta")
    own = {"t": dataclasses.replace(tasks["t"], max_seq_len=65)}
    with pytest.raises(UserError, match=r"tasks\.yml:1: task 't': max_seq_len: 65 exceeds the 64"):
        check_lengths(own, 16, roberta.positions, "roberta")
    shared = MTDNN(roberta, tasks, ModelConfig())
    with pytest.raises(UserError, match="65 exceeds the 64 positions"):
        shared.add_task(dataclasses.replace(own["t"], name="u", head="t"), tokenizer=None)

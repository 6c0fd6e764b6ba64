"""The greatest length of a run: its default follows the encoder, a number of the user does not."""

from __future__ import annotations

import pytest
import torch
from transformers import (
    BertConfig,
    DistilBertConfig,
    MPNetConfig,
    RobertaConfig,
    T5Config,
    XLNetConfig,
)

from data_utils.errors import UserError
from mt_dnn.config.run import DataConfig, ModelConfig, RunConfig
from mt_dnn.encoders.encoder import Encoder
from mt_dnn.encoders.load import encoder_positions, load_encoder
from mt_dnn.runs.length import resolve_length
from tests.support.tasks import make_task

SMALL = {
    "vocab_size": 30,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "pad_token_id": 1,
}
CASES = {
    "bert": (BertConfig(**SMALL, max_position_embeddings=66), 66),
    "roberta": (RobertaConfig(**SMALL, max_position_embeddings=66), 64),
    "mpnet": (MPNetConfig(**SMALL, max_position_embeddings=66), 64),
    "distilbert": (
        DistilBertConfig(
            vocab_size=30, dim=8, n_layers=2, n_heads=2, hidden_dim=16, max_position_embeddings=66
        ),
        66,
    ),
    "t5": (T5Config(vocab_size=30, d_model=8, d_kv=4, d_ff=16, num_layers=2, num_heads=2), None),
    "xlnet": (XLNetConfig(vocab_size=30, d_model=8, n_layer=2, n_head=2, d_inner=16), None),
}


@pytest.fixture
def folder(tmp_path, request):
    CASES[request.param][0].save_pretrained(tmp_path)
    return str(tmp_path)


def config_of(folder: str, max_seq_len: int | None = None) -> RunConfig:
    data, model = DataConfig(max_seq_len=max_seq_len), ModelConfig(encoder=folder)
    return RunConfig(data=data, model=model)


@pytest.mark.parametrize("name", CASES)
def test_the_positions_are_those_that_the_encoder_can_compute(tmp_path, name):
    config, limit = CASES[name]
    torch.manual_seed(1)
    Encoder.from_config(config).save_pretrained(tmp_path)
    before = torch.get_rng_state()
    assert encoder_positions(str(tmp_path)) == limit
    assert torch.equal(torch.get_rng_state(), before)
    encoder = load_encoder(str(tmp_path))
    assert encoder.positions == limit
    longest = limit or 600
    encoder.encode(encoder.embed(torch.full((1, longest), 5)), torch.ones(1, longest))
    if limit is not None:
        with pytest.raises((IndexError, RuntimeError)):
            encoder.encode(encoder.embed(torch.full((1, limit + 1), 5)), torch.ones(1, limit + 1))


@pytest.mark.parametrize(
    ("folder", "length", "printed"),
    [("bert", 66, 1), ("roberta", 64, 1), ("t5", 512, 0)],
    indirect=["folder"],
)
def test_the_default_is_what_the_encoder_has(folder, length, printed):
    lines: list[str] = []
    config = resolve_length(config_of(folder), {}, lines.append)
    assert config.data.max_seq_len == length
    assert len(lines) == printed
    assert all(line.startswith(f"data.max_seq_len: {length}, because {folder}") for line in lines)
    assert resolve_length(config, {}, lines.append) == config
    assert len(lines) == printed


@pytest.mark.parametrize("folder", ["roberta"], indirect=True)
def test_a_number_of_the_user_is_kept_or_refused(folder):
    assert resolve_length(config_of(folder, 64), {}, print).data.max_seq_len == 64
    for length in (65, 512):
        message = rf"^data\.max_seq_len: {length} exceeds the 64 positions of .*; use at most 64$"
        with pytest.raises(UserError, match=message):
            resolve_length(config_of(folder, length), {"t": make_task()}, print)


@pytest.mark.parametrize("folder", ["roberta"], indirect=True)
def test_a_length_of_a_task_is_refused_with_its_line(folder):
    task = make_task(max_seq_len=65)
    with pytest.raises(UserError, match=r"^tasks\.yml:1: task 't': max_seq_len: 65 exceeds the 64"):
        resolve_length(config_of(folder), {"t": task}, lambda line: None)

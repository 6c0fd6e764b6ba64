"""Dropout inside the encoder, its number of layers, and the options of a stochastic answer network."""

from __future__ import annotations

import pytest
import torch
from transformers import (
    AlbertConfig,
    BertConfig,
    DistilBertConfig,
    LongformerConfig,
    LongformerModel,
    ModernBertConfig,
    PreTrainedConfig,
    T5Config,
)

from data_utils.errors import UserError
from mt_dnn.config.run import ModelConfig
from mt_dnn.encoders.architecture import keep_layers, set_dropout
from mt_dnn.encoders.encoder import Encoder
from mt_dnn.encoders.load import load_encoder
from mt_dnn.heads.pooled import sequence_head
from mt_dnn.heads.san import SANHead
from tests.support.tasks import make_task

SMALL = {
    "vocab_size": 30,
    "hidden_size": 8,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 16,
}


def dropouts(encoder: Encoder) -> set[float]:
    rates = {m.p for m in encoder.modules() if isinstance(m, torch.nn.Dropout)}
    return rates | {
        float(p)
        for m in encoder.modules()
        if isinstance(p := getattr(m, "attention_dropout", None), float)
    }


@pytest.mark.parametrize(
    "config",
    [
        BertConfig(**SMALL),
        AlbertConfig(**SMALL, embedding_size=4, hidden_dropout_prob=0.3),
        DistilBertConfig(vocab_size=30, dim=8, n_layers=3, n_heads=2, hidden_dim=16),
        ModernBertConfig(**SMALL, embedding_dropout=0.2, pad_token_id=0),
        T5Config(vocab_size=30, d_model=8, d_kv=4, d_ff=16, num_layers=3, num_heads=2),
    ],
    ids=lambda config: config.model_type,
)
def test_dropout_and_layers_of_an_encoder(config):
    set_dropout(config, 0.25)
    keep_layers(config, 2)
    encoder = Encoder.from_config(config)
    assert dropouts(encoder) - {0.0} == {0.25}
    if config.model_type != "albert":  # its layers share their weights
        assert encoder.num_layers == 2
    assert encoder.config.num_hidden_layers == 2


def test_the_first_layers_are_kept_with_their_weights(tmp_path):
    torch.manual_seed(1)
    whole = Encoder.from_config(BertConfig(**SMALL))
    whole.save_pretrained(tmp_path)
    part = load_encoder(str(tmp_path), num_layers=2, dropout=0.0)
    assert (part.num_layers, dropouts(part)) == (2, {0.0})
    own = part.state_dict()
    assert own.keys() == {k for k in whole.state_dict() if "layer.2." not in k}
    for name, tensor in own.items():
        assert torch.equal(tensor, whole.state_dict()[name])
    part.save_pretrained(tmp_path / "part")
    assert load_encoder(str(tmp_path / "part")).num_layers == 2


def test_more_layers_than_there_are(tmp_path):
    Encoder.from_config(BertConfig(**SMALL)).save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"^model\.num_layers: 4; bert has 3 layers$"):
        load_encoder(str(tmp_path), num_layers=4)


def test_an_architecture_without_dropout():
    class Plain(PreTrainedConfig):
        model_type = "plain"

    config = Plain()
    with pytest.raises(UserError, match=r"^model\.encoder_dropout: plain has no dropout"):
        set_dropout(config, 0.1)


@pytest.mark.parametrize("padded", [False, True])
def test_the_first_token_of_longformer_sees_the_whole_text(padded):
    torch.manual_seed(1)
    config = LongformerConfig(
        **SMALL,
        attention_window=4,
        max_position_embeddings=40,
        pad_token_id=1,
        initializer_range=0.5,
    )
    encoder = Encoder.from_config(config).eval()
    ids = torch.randint(5, 30, (1, 24))
    mask = torch.ones_like(ids)
    if padded:
        ids[0, 20:], mask[0, 20:] = 1, 0
    other = ids.clone()
    other[0, 18] = (other[0, 18] + 1) % 25 + 5
    first, second = (encoder.encode(encoder.embed(x), mask)[0, 0] for x in (ids, other))
    assert not torch.allclose(first, second)
    model = encoder.model
    assert isinstance(model, LongformerModel)
    wide = torch.zeros_like(ids)
    wide[:, 0] = 1
    expected = model(ids, attention_mask=mask, global_attention_mask=wide).last_hidden_state
    assert torch.equal(encoder.encode(encoder.embed(ids), mask)[0, :20], expected[0, :20])


def san(options: dict | None = None, **fields):
    return make_task(
        enable_san=True, options=options or {}, data_format="PremiseAndOneHypothesis", **fields
    )


def test_options_of_a_stochastic_answer_network():
    encoder = Encoder.from_config(BertConfig(**SMALL))
    task = san({"san_steps": 3, "san_prediction_dropout": 0.2}, dropout=0.4)
    head = sequence_head(encoder, 3, task=task, config=ModelConfig())
    assert isinstance(head, SANHead)
    assert (head.steps, head.prediction_dropout, head.dropout.p) == (3, 0.2, 0.4)
    default = sequence_head(encoder, 3, task=san(), config=ModelConfig())
    assert (default.steps, default.prediction_dropout) == (5, 0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"san_steps": 0}, r"options: san_steps: 0; it must be at least 1"),
        ({"san_steps": 2.5}, r"options: san_steps: expected a whole number, got 2\.5"),
        (
            {"san_prediction_dropout": 1.5},
            r"san_prediction_dropout: 1\.5; it must be between 0 and 1",
        ),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(UserError, match=message):
        san(options)


def test_the_options_need_the_network():
    with pytest.raises(UserError, match=r"options: san_steps: .* no such option"):
        make_task(options={"san_steps": 3})


def test_tasks_with_one_head_agree_on_them(load):
    text = """\
a: &a
  data_format: PremiseAndOneHypothesis
  task_type: Classification
  labels: [x, y]
  metric_meta: [ACC]
  enable_san: true
b: {<<: *a, head: a, options: {san_steps: %d}}
"""
    assert list(load(text % 5)) == ["a", "b"]
    with pytest.raises(
        UserError, match="task 'b': shares head 'a' but differs from task 'a' in its options"
    ):
        load(text % 2)

"""The model from names, and batches from raw rows."""

from __future__ import annotations

import pytest
import torch

from data_utils.errors import UserError
from mt_dnn.config.run import ModelConfig
from mt_dnn.encoders.load import load_encoder
from mt_dnn.inference.predictor import Predictor
from mt_dnn.model import MTDNN
from mt_dnn.task_types import load_tasks

TASKS = """\
pair: {data_format: PremiseAndOneHypothesis, task_type: Classification, labels: [same, other], metric_meta: [ACC]}
pick: {data_format: PremiseAndMultiHypothesis, task_type: Ranking, metric_meta: [ACC]}
span: {data_format: MRC, task_type: Span, metric_meta: [EM], max_seq_len: 12, options: {stride: 2}}
"""
DOCUMENT = "the old king lived near a great river in the north and he had two sons"


@pytest.fixture
def tasks(tmp_path):
    (tmp_path / "tasks.yml").write_text(TASKS)
    return tmp_path / "tasks.yml"


@pytest.fixture
def model(encoder_folder, tasks) -> MTDNN:
    return MTDNN.from_pretrained(encoder_folder, tasks)


def row(label: str | None = "other") -> dict[str, str]:
    texts = {"premise": "a dog", "hypothesis": "a cat sat on the table"}
    return texts if label is None else texts | {"label": label}


def test_the_encoder_is_pretrained_and_the_heads_come_from_torchs_generator(encoder_folder, tasks):
    def built(seed: int) -> MTDNN:
        torch.manual_seed(seed)
        return MTDNN.from_pretrained(str(encoder_folder), load_tasks(tasks))

    first, again, other = built(1), built(1), built(2)
    pretrained = load_encoder(str(encoder_folder)).state_dict()
    for name, weight in other.encoder.state_dict().items():
        assert torch.equal(weight, pretrained[name]), name
    same = [torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True)]
    assert all(same)
    heads = zip(first.heads.parameters(), other.heads.parameters(), strict=True)
    assert not all(torch.equal(a, b) for a, b in heads)
    assert not any(module.training for module in first.modules())


def test_the_settings_reach_heads_and_encoder(encoder_folder, tasks):
    config = ModelConfig(encoder="another", dropout=0.7, attention="eager", pooling="mean")
    model = MTDNN.from_pretrained(encoder_folder, tasks, config)
    assert model.encoder.attention == "eager"
    rates = {m.p for m in model.heads["pair"].modules() if isinstance(m, torch.nn.Dropout)}
    assert rates == {0.7}
    with pytest.raises(UserError, match=r"model.init_from: runs/a: .*mt_dnn.Trainer"):
        MTDNN.from_pretrained(encoder_folder, tasks, ModelConfig(init_from="runs/a"))


def test_a_batch_gives_the_logits_of_the_predictor(model):
    rows = [row(), {**row(), "premise": "a much longer text than that"}]
    predictor = Predictor(model, model.tokenizer, 128)
    with torch.no_grad():
        logits = model(model.batch("pair", rows))
    torch.testing.assert_close(logits, torch.from_numpy(predictor.logits("pair", rows)))


def test_rows_are_texts_or_columns_with_or_without_a_label(model):
    named = model.batch("pair", [row("other"), row("same")])
    assert named.labels.tolist() == [1, 0]
    assert named.uids == ["0", "1"]
    texts = tuple(row(None).values())
    for bare in ([row(None)] * 2, [texts, list(texts)]):
        batch = model.batch("pair", bare)
        assert batch.labels is None
        assert torch.equal(batch.input_ids, named.input_ids)


def test_candidates_and_windows_become_sequences(model):
    candidates = {"premise": "a dog", "hypothesis": ["one", "two", "three"], "label": [0, 1, 0]}
    batch = model.batch("pick", [candidates])
    assert batch.input_ids.shape[0] == 3
    assert batch.labels.tolist() == [[0, 1, 0]]
    batch = model.batch("span", [(DOCUMENT, "where")])
    assert len(batch) > 1
    assert batch.extras["window"] == list(range(len(batch)))
    assert batch.input_ids.shape[1] <= 12


def test_long_rows_are_cut(model):
    long = [{"premise": "king " * 600, "hypothesis": "a river"}]
    assert model.batch("pair", long).input_ids.shape[1] == 128  # the tokenizer's limit
    assert model.batch("pair", long, max_seq_len=20).input_ids.shape[1] == 20
    model.tokenizer.model_max_length = int(1e30)  # as tokenizers without a limit have
    assert model.batch("pair", long).input_ids.shape[1] == 128  # the encoder's positions


def test_the_batch_is_on_the_models_device(model):
    assert model.to("meta").batch("pair", [row()]).input_ids.device.type == "meta"


@pytest.mark.parametrize(
    ("task", "rows", "message"),
    [
        ("pear", [row()], r"the model has no task 'pear'\. Did you mean 'pair'\?"),
        ("pair", "a text", r"expected a list of rows, got a single one"),
        ("pair", row(), r"expected a list of rows, got a single one"),
        ("pair", [], r"there are no rows"),
        ("pair", [row(), row(None)], r"1 of 2 rows have a label; .*separate batches"),
        ("pair", [row(), row("sam")], r"row 1: .*'sam'"),
        ("pair", [("a", "b", "c")], r"row 0: 3 texts; task 'pair' takes"),
    ],
)
def test_a_wrong_row_is_named(model, task, rows, message):
    with pytest.raises(UserError, match=message):
        model.batch(task, rows)


def test_a_model_without_a_tokenizer_makes_no_batch(encoder_folder, tasks):
    model = MTDNN(load_encoder(str(encoder_folder)), load_tasks(tasks), ModelConfig())
    with pytest.raises(UserError, match=r"has no tokenizer; build it with MTDNN.from_pretrained"):
        model.batch("pair", [row()])

"""Checkpoints of MT-DNN, made by hand in the forms of its releases, become models of ours."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
import torch
import transformers as hf
from safetensors.torch import load_file
from torch import Tensor

import mt_dnn
from data_utils.errors import UserError
from mt_dnn.encoders.load import load_encoder
from mt_dnn.training.trainer import Trainer
from tests.support.mt_dnn_checkpoint import (
    HIDDEN,
    SIZES,
    State,
    by_hand,
    linear,
    under,
    with_own_poolers,
    with_shared_pooler,
)
from tests.support.runs import assert_same_weights, run

PAIRS = [
    ("a good film", "the movie was great"),
    ("rain", "it is cold and dark outside"),
    ("x", "y"),
]
PICKS = [
    {"premise": "where is the dog", "hypothesis": ["in the garden", "a cold winter"]},
    {"premise": "who won", "hypothesis": ["the red team", "no", "a man with a hat"]},
]


def test_logits_are_those_of_mt_dnn(import_state, mt_dnn_state, mt_dnn_bert, tokenizer, tmp_path):
    import_state(mt_dnn_state)
    predictor = mt_dnn.load(tmp_path / "out")
    for i, task in enumerate(("pair", "score")):
        expected = by_hand(mt_dnn_bert, tokenizer, PAIRS, linear(SIZES[task], seed=10 + 10 * i))
        assert np.abs(expected).max() > 0.5
        np.testing.assert_allclose(predictor.logits(task, PAIRS), expected, atol=1e-5)
    for row, logits in zip(PICKS, predictor.logits("pick", PICKS), strict=True):
        pairs = [(row["premise"], text) for text in row["hypothesis"]]
        expected = by_hand(mt_dnn_bert, tokenizer, pairs, linear(1, seed=30))
        np.testing.assert_allclose(logits, expected[:, 0], atol=1e-5)


def test_a_pooler_that_all_heads_share_goes_before_that_of_the_encoder(
    import_state, mt_dnn_state, mt_dnn_bert, tokenizer, tmp_path
):
    report = import_state(with_shared_pooler(mt_dnn_state))
    pooler, output = linear(HIDDEN, seed=50), linear(2, seed=10)
    expected = by_hand(mt_dnn_bert, tokenizer, PAIRS, output, pooler=pooler)
    predictor = mt_dnn.load(tmp_path / "out")
    np.testing.assert_allclose(predictor.logits("pair", PAIRS), expected, atol=1e-5)
    assert report.heads["pair"] == "scoring_list.0.* on pooler.dense.*, tanh"
    assert report.unused == []
    assert len(report.used) == len(set(report.used)) == len(with_shared_pooler(mt_dnn_state)) - 1


FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": torch.nn.functional.gelu,
    "relu": torch.relu,
    "identity": lambda x: x,
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("form", [with_shared_pooler, with_own_poolers])
def test_the_activation_may_be_another(
    import_state, mt_dnn_state, mt_dnn_bert, tokenizer, tmp_path, form, name
):
    """Identity: what MT-DNN does where it does not find the function."""
    import_state(form(mt_dnn_state), pooler_activation=name)
    pooler = linear(HIDDEN, seed=50 if form is with_shared_pooler else 70)
    expected = by_hand(
        mt_dnn_bert, tokenizer, PAIRS, linear(1, seed=20), pooler=pooler, activation=FUNCTIONS[name]
    )
    predictor = mt_dnn.load(tmp_path / "out")
    np.testing.assert_allclose(predictor.logits("score", PAIRS), expected, rtol=1e-4, atol=1e-4)


def test_the_settings_know_the_shared_poolers_activation(import_state, mt_dnn_state, tmp_path):
    report = import_state(with_shared_pooler(mt_dnn_state), {"pooler_actf": "gelu"})
    assert report.heads["pair"] == "scoring_list.0.* on pooler.dense.*, gelu"
    assert "--pooler_activation identity" in report.notes[-1]
    assert mt_dnn.load(tmp_path / "out").task("pair").activation == "gelu"
    with pytest.raises(UserError, match=r"has 'swish', .*--pooler_activation.* Choices: gelu, "):
        import_state(
            with_shared_pooler(mt_dnn_state), {"pooler_actf": "swish"}, out=str(tmp_path / "other")
        )
    report = import_state(mt_dnn_state, {"pooler_actf": "gelu"}, out=str(tmp_path / "third"))
    assert report.heads["pair"] == "scoring_list.0.* on bert.pooler.dense.*, tanh"
    assert "--pooler_activation" not in "".join(report.notes)


def test_heads_pool_the_first_token_whatever_the_task_file_says(
    import_state, mt_dnn_state, mt_dnn_bert, tokenizer, workspace, tmp_path
):
    tasks = (workspace / "tasks.yml").read_text()
    (tmp_path / "tasks.yml").write_text(
        tasks.replace("pair:\n", "pair:\n  pooling: mean\n  actf: relu\n  layers: scalar_mix\n")
    )
    import_state(mt_dnn_state, tasks=str(tmp_path / "tasks.yml"))
    expected = by_hand(mt_dnn_bert, tokenizer, PAIRS, linear(2, seed=10))
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
def test_a_head_on_every_token_has_no_pooler(
    import_state, mt_dnn_bert, tokenizer, tmp_path, layer, activation
):
    """A linear layer, or a sequence of dropout and a linear layer; poolers are others' business."""
    (tmp_path / "tags.yml").write_text(TAGS)
    state = under("bert", mt_dnn_bert.state_dict()) | under("pooler.dense", linear(HIDDEN, seed=50))
    state |= under(f"scoring_list.0{layer}", linear(3, seed=10))
    report = import_state(state, tasks=str(tmp_path / "tags.yml"), pooler_activation=activation)
    assert report.unused == ["pooler.dense.weight", "pooler.dense.bias"]
    words = ["a", "good", "film"]
    with torch.no_grad():
        hidden = mt_dnn_bert(**tokenizer(" ".join(words), return_tensors="pt")).last_hidden_state
        head = linear(3, seed=10)
        expected = hidden[0, 1:4] @ head["weight"].T + head["bias"]
    (found,) = mt_dnn.load(tmp_path / "out").logits("tag", [{"tokens": words}])
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


def old_names(key: str) -> str:
    return key.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
        "LayerNorm.bias", "LayerNorm.beta"
    )


def test_old_names_of_layer_norm_half_precision_and_the_old_file_form(
    import_state, mt_dnn_state, mt_dnn_bert, tmp_path
):
    # PyTorch 1.0 wrote no zip files.
    whole = {old_names(key): tensor for key, tensor in mt_dnn_state.items()}
    assert sum("gamma" in key for key in whole) == 5
    report = import_state(whole)
    expected = {
        key: t for key, t in mt_dnn_bert.state_dict().items() if not key.startswith("pooler.")
    }
    assert_same_weights(load_encoder(str(tmp_path / "out")).model.state_dict(), expected)
    assert "bert.embeddings.LayerNorm.gamma" in report.used
    half = {key: t.half() if t.is_floating_point() else t for key, t in mt_dnn_state.items()}
    path = tmp_path / "legacy.pt"
    torch.save({"state": half, "config": {}}, path, _use_new_zipfile_serialization=False)
    import_state(mt_dnn_state, checkpoint=str(path), out=str(tmp_path / "legacy"))
    read = load_encoder(str(tmp_path / "legacy")).model.state_dict()
    assert_same_weights(read, {key: tensor.half().float() for key, tensor in expected.items()})


def test_other_architectures_keep_the_prefix_and_tied_weights(
    import_state, workspace, tmp_path, tokenizer
):
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
    report = import_state(weights, encoder=str(tmp_path / "t5"), use="pair")
    assert report.used == list(weights)
    read = load_encoder(str(tmp_path / "out")).model.state_dict()
    assert_same_weights(read, model.state_dict())


# --- Whose head is whose -------------------------------------------------------------------------


def test_the_checkpoint_remembers_its_tasks_and_use_overrules_it(
    import_state, mt_dnn_state, tmp_path
):
    """pick and score have heads of equal size: only their order tells them apart."""
    report = import_state(
        mt_dnn_state, {"train_datasets": ["pair", "pick_train", "score", "score_2"]}
    )
    assert list(report.heads) == ["pair", "pick", "score"]
    heads = load_file(tmp_path / "out" / "heads.safetensors")
    torch.testing.assert_close(heads["pick.scorer.output.weight"], linear(1, seed=20)["weight"])
    report = import_state(
        mt_dnn_state,
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


def test_what_has_no_place_here_is_named_and_its_head_is_left_out(
    import_state, mt_dnn_state, tmp_path, capsys
):
    for kind in ("weight", "bias"):
        del mt_dnn_state[f"scoring_list.0.{kind}"]
    mt_dnn_state |= under("scoring_list.0", san(2)) | {"bert.decoder.0.weight": torch.zeros(3)}
    report = import_state(mt_dnn_state)
    assert report.heads["pair"].startswith("new: ")
    assert report.missing == [
        f"pair.{key}"
        for key in ("pooler.0.weight", "pooler.0.bias", "output.weight", "output.bias")
    ]
    extra = [*under("scoring_list.0", san(2)), "bert.decoder.0.weight"]
    assert sorted(report.unused) == sorted(extra)
    assert report.expected == ["bert.embeddings.position_ids"]
    assert {*report.used, *report.unused, *report.expected} == set(mt_dnn_state)
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


def test_a_checkpoint_without_heads_gives_its_encoder(
    import_state, mt_dnn_state, mt_dnn_bert, tmp_path
):
    report = import_state({key: t for key, t in mt_dnn_state.items() if key.startswith("bert.")})
    assert [origin[:3] for origin in report.heads.values()] == ["new"] * 3
    pooler = load_encoder(str(tmp_path / "out")).pooler_weights()
    assert pooler is not None
    assert torch.equal(pooler[0], mt_dnn_bert.pooler.dense.weight)


def test_a_task_that_asks_for_an_answer_network_does_not_get_a_linear_head(
    import_state, mt_dnn_state, workspace, tmp_path
):
    tasks = (workspace / "tasks.yml").read_text()
    (tmp_path / "tasks.yml").write_text(tasks.replace("pair:\n", "pair:\n  enable_san: true\n"))
    report = import_state(mt_dnn_state, tasks=str(tmp_path / "tasks.yml"))
    assert report.heads["pair"].startswith("new: ")
    assert report.unused == ["scoring_list.0.weight", "scoring_list.0.bias"]
    assert list(mt_dnn.load(tmp_path / "out").tasks) == ["score", "pick"]


# --- Training goes on from it --------------------------------------------------------------------


@pytest.mark.usefixtures("no_pictures")
def test_training_starts_from_it(import_state, mt_dnn_state, tiny_config, tmp_path, capsys):
    import_state(mt_dnn_state)
    config = tiny_config(
        model={"init_from": str(tmp_path / "out")}, train={"max_steps": 2, "predictions": False}
    )
    trainer = Trainer(config)
    assert "heads loaded: pair, score, pick; new heads: none" in capsys.readouterr().out
    heads = trainer.model.heads.state_dict()
    assert torch.equal(heads["pair.output.weight"], linear(2, seed=10)["weight"])
    assert torch.equal(
        heads["pick.scorer.pooler.0.weight"], mt_dnn_state["bert.pooler.dense.weight"]
    )
    word = "embeddings.word_embeddings.weight"
    assert torch.equal(trainer.model.encoder.model.state_dict()[word], mt_dnn_state[f"bert.{word}"])
    run(tiny_config(name="on", model=config.model.__dict__, train={"max_steps": 1}))

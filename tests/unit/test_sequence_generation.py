"""Writing texts: the decoder against transformers' own, and what becomes of the ids."""

from __future__ import annotations

import pytest
import torch
import transformers as hf
from safetensors.torch import load_file, save_file

from data_utils.collator import IGNORE, Batch
from data_utils.errors import UserError
from data_utils.task_def import TaskDef
from mt_dnn.config.presets import resolve
from mt_dnn.config.run import ModelConfig
from mt_dnn.config.smart import ProximalConfig, SmoothnessConfig
from mt_dnn.encoders.load import load_encoder
from mt_dnn.heads.decoder import DecoderHead
from mt_dnn.model import MTDNN
from mt_dnn.objective.proximal import ProximalTeacher
from mt_dnn.task_types.sequence_generation import SequenceGeneration
from tests.support.batches import make_batch
from tests.support.encoders import tiny_encoder
from tests.support.tasks import make_task
from tests.support.words import Words

V, EOS = 60, 1


def config(tied: bool) -> hf.T5Config:
    return hf.T5Config(
        vocab_size=V,
        d_model=32,
        d_kv=16,
        d_ff=48,
        num_layers=2,
        num_heads=2,
        decoder_start_token_id=0,
        tie_word_embeddings=tied,
    )


@pytest.fixture(scope="module", params=[True, False], ids=["tied", "untied"])
def reference(request, tmp_path_factory):
    """transformers' own model and the folder of its checkpoint."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = hf.T5ForConditionalGeneration(config(request.param)).eval()
        if not request.param:
            model.lm_head.weight = torch.nn.Parameter(torch.randn(V, 32) * 0.3)
    folder = tmp_path_factory.mktemp("t5")
    model.save_pretrained(folder)
    return hf.T5ForConditionalGeneration.from_pretrained(folder).eval(), folder


def task(**fields) -> TaskDef:
    return make_task("SequenceGeneration", **fields)


def batch(labels: list[list[int]] | None = None, lengths=(6, 4)) -> Batch:
    padded = len(set(lengths)) > 1
    return make_batch(lengths, ids=(3, V), labels=labels, uids=["a", "b"], is_padded=padded)


LABELS = [[7, 8, 9, EOS], [5, EOS, IGNORE, IGNORE]]


@pytest.fixture
def model(reference) -> MTDNN:
    return MTDNN(load_encoder(str(reference[1])), {"t": task()}, ModelConfig(), Words()).eval()


@torch.no_grad()
def test_logits_under_teacher_forcing_are_those_of_transformers(reference, model):
    rows = batch(LABELS)
    expected = reference[0](
        input_ids=rows.input_ids, attention_mask=rows.attention_mask, labels=rows.labels
    )
    found = model(rows)
    assert found.shape == (2, 4, V)
    assert torch.allclose(found, expected.logits, atol=1e-5)
    assert model.task_types["t"].loss(found, rows).item() == pytest.approx(
        expected.loss.item(), rel=1e-5
    )


@torch.no_grad()
def test_greedy_search_is_that_of_transformers_and_does_not_see_the_labels(reference, model):
    rows = batch()
    expected = reference[0].generate(
        input_ids=rows.input_ids,
        attention_mask=rows.attention_mask,
        max_new_tokens=8,
        do_sample=False,
        num_beams=1,
    )[:, 1:]
    found = model.heads["t"].greedy(model.encode(model.embed(rows), rows), rows, longest=8)
    for own, theirs in zip(found.argmax(-1).tolist(), expected.tolist(), strict=True):
        end = theirs.index(EOS) + 1 if EOS in theirs else len(theirs)
        assert own[:end] == theirs[:end]
    assert torch.equal(model.infer(batch(LABELS)), model.infer(rows))


@torch.no_grad()
def test_padding_of_the_input_does_not_matter(model):
    rows = batch(LABELS)
    alone = Batch(
        "t", ["b"], rows.input_ids[1:, :4], rows.attention_mask[1:, :4], labels=rows.labels[1:],
        is_padded=False,
    )  # fmt: skip
    assert torch.allclose(model(rows)[1, :2], model(alone)[0, :2], atol=1e-5)


def test_word_embeddings_are_registered_once_and_follow_a_teacher(model):
    names = [name for name, p in model.named_parameters() if p.shape == (V, 32)]
    assert len(names) == 1 + (model.heads["t"].output is not None)
    with torch.no_grad():
        before = model(batch(LABELS))
    _, proximal = resolve("smart", SmoothnessConfig(), ProximalConfig())
    teacher = ProximalTeacher(model, proximal)
    with torch.no_grad():
        model.encoder.model.get_input_embeddings().weight.add_(1.0)
    assert torch.allclose(teacher.logits(batch(LABELS)), before, atol=1e-5)


def test_texts_are_decoded_to_their_end():
    kind = SequenceGeneration(task(), Words())
    logits = torch.nn.functional.one_hot(torch.tensor([[7, 8, EOS, 9], [5, 6, 7, 8]]), V).float()
    rows = batch()
    rows.extras["target"] = ["7 8", "7"]
    first, second = kind.decode(logits, rows)
    assert (first.value, first.gold, first.scores) == ("7 8", ["7 8"], {"text": "7 8"})
    assert second.value == "5 6 7 8"


def test_a_word_that_is_no_label_is_wrong_whatever_the_gold_label_is():
    kind = SequenceGeneration(
        task(labels=("7", "8"), n_class=2, metrics=("ACC",), metric_for_best="ACC"), Words()
    )
    logits = torch.nn.functional.one_hot(torch.tensor([[8, EOS], [9, EOS]]), V).float()
    rows = batch()
    rows.extras["target"] = ["8", "8"]
    first, second = kind.decode(logits, rows)
    assert (first.value, first.gold, kind.in_words(first.value)) == (1, 1, "8")
    assert (second.value, kind.in_words(second.value), second.scores) == (2, None, {"text": "9"})


def test_an_encoder_without_a_decoder_is_refused():
    with pytest.raises(UserError, match=r"bert has no decoder .* T5"):
        DecoderHead(tiny_encoder("bert"))


def test_a_checkpoint_without_its_decoder_is_refused(reference, tmp_path):
    load_encoder(str(reference[1])).save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"lacks \d+ weights of its decoder"):
        DecoderHead(load_encoder(str(tmp_path)))


def test_an_output_layer_of_its_own_may_not_be_missing(tmp_path):
    model = hf.T5ForConditionalGeneration(config(tied=False))
    model.lm_head.weight = torch.nn.Parameter(torch.randn(V, 32))
    model.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    weights = load_file(path)
    del weights["lm_head.weight"]
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"lacks 1 weights of its decoder.*lm_head"):
        DecoderHead(load_encoder(str(tmp_path)))


def test_a_run_without_the_head_leaves_no_decoder_random(reference, tmp_path):
    load_encoder(str(reference[1])).save_pretrained(tmp_path)
    save_file({"other.output.weight": torch.zeros(1)}, tmp_path / "heads.safetensors")
    with pytest.raises(UserError, match=r"has no head 't'.*would stay random"):
        DecoderHead(load_encoder(str(tmp_path)), head_name="t")


def test_metrics_of_probabilities_are_refused():
    with pytest.raises(UserError, match="AUC needs probabilities"):
        task(metrics=("AUC",), metric_for_best="AUC")

"""Masked language modelling: what is stored, what is hidden, what the head gives, what is scored."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import transformers as hf
from transformers import AutoTokenizer

from data_utils import collator
from data_utils.collator import IGNORE, Batch
from data_utils.errors import UserError
from data_utils.formats import FORMATS, Row
from data_utils.metrics import METRICS
from data_utils.token_table import TokenTable, tokenize
from mt_dnn.config.run import ModelConfig, OptimConfig
from mt_dnn.encoders.encoder import load_encoder
from mt_dnn.heads.mask_lm import MASKED_AT, pretrained_weights
from mt_dnn.heads.masking import UNTOUCHED, choose_positions, replacement_ids
from mt_dnn.model import MTDNN
from mt_dnn.objective.proximal import ProximalConfig, ProximalTeacher
from mt_dnn.task_types import Prediction
from mt_dnn.training.optim import parameter_groups
from tests.support.batches import make_batch
from tests.support.encoders import ARCHITECTURES, tiny_encoder
from tests.support.tasks import make_kind, make_task
from tests.support.words import WORDS, tiny_tokenizer, vocabulary

FORMAT = FORMATS.get("MLM")


def encode(tokenizer, *texts: str, max_seq_len: int = 32) -> dict[str, list]:
    rows = [Row({"uid": str(i), "text": text}, f"rows:{i}") for i, text in enumerate(texts)]
    task = make_task("MaskLM")
    examples = [FORMAT.parse(row, task) for row in rows]
    table, truncated = tokenize(examples, task, tokenizer, max_seq_len=max_seq_len)
    assert truncated == 0
    return TokenTable(table).take(range(len(table)))


# What is stored.


def test_words_have_numbers_and_special_tokens_have_none(tokenizer):
    """``xyz`` is three sub-words of the tiny vocabulary; the snowman is [UNK]."""
    rows = encode(tokenizer, "good xyz \u2603 day")
    assert tokenizer.convert_ids_to_tokens(rows["input_ids"][0]) == [
        *("[CLS]", "good", "x", "##y", "##z", "[UNK]", "day", "[SEP]")
    ]
    assert rows["word_ids"][0].tolist() == [-1, 0, 1, 1, 1, -1, 3, -1]
    assert "labels" not in rows


def test_long_texts_go_on_in_the_next_window_and_lose_nothing(tokenizer):
    words = WORDS[100:120]
    rows = encode(tokenizer, " ".join(words), "good day", max_seq_len=8)
    assert rows["window"] == [0, 1, 2, 3, 0]
    assert rows["uid"] == ["0", "0", "0", "0", "1"]
    assert all(len(ids) <= 8 for ids in rows["input_ids"])
    tokens = [
        tokenizer.convert_ids_to_tokens(int(token))
        for ids, own in zip(rows["input_ids"][:4], rows["word_ids"][:4], strict=True)
        for token, word in zip(ids, own, strict=True)
        if word >= 0
    ]
    assert tokens == words


def test_blank_lines_part_a_text_into_paragraphs(tokenizer):
    rows = encode(tokenizer, "good day\n \n\nbad day\nagain\n", "a b")
    assert rows["window"] == [0, 1, 0]
    assert [tokenizer.decode(ids, skip_special_tokens=True) for ids in rows["input_ids"]] == [
        *("good day", "bad day again", "a b")
    ]


def test_an_empty_text_is_refused():
    with pytest.raises(UserError, match=r"rows:3: column 'text' is empty"):
        FORMAT.parse(Row({"uid": "0", "text": " \n\n"}, "rows:3"), make_task("MaskLM"))


# What is hidden.


def test_the_proportions_are_berts():
    words = torch.arange(200_000).reshape(100, 2000)
    generator = torch.Generator().manual_seed(0)
    chosen = choose_positions(words, probability=0.15, whole_word=False, generator=generator)
    assert chosen.float().mean().item() == pytest.approx(0.15, abs=0.005)
    ordinary = torch.arange(10, 1010)
    shown = replacement_ids(chosen, mask_id=4, ordinary_ids=ordinary, generator=generator)
    assert (shown[~chosen] == UNTOUCHED).all()
    own = shown[chosen]
    assert (own == 4).float().mean().item() == pytest.approx(0.8, abs=0.015)
    assert (own == UNTOUCHED).float().mean().item() == pytest.approx(0.1, abs=0.01)
    drawn = own[(own != 4) & (own != UNTOUCHED)]
    assert drawn.min() >= 10
    assert len(drawn.unique()) > 900


@pytest.mark.parametrize("whole_word", [False, True])
def test_what_has_no_word_is_never_chosen(whole_word):
    words = torch.tensor([[-1, 0, 0, -1, 1, -1, -1]]).repeat(500, 1)
    generator = torch.Generator().manual_seed(0)
    chosen = choose_positions(words, probability=0.9, whole_word=whole_word, generator=generator)
    assert not chosen[words < 0].any()
    assert chosen[words >= 0].float().mean() > 0.8


def test_whole_words_are_chosen_as_one():
    words = torch.tensor([[-1, 5, 5, 5, 6, 7, 7, -1]]).repeat(4000, 1)
    generator = torch.Generator().manual_seed(0)
    chosen = choose_positions(words, probability=0.15, whole_word=True, generator=generator)
    for begin, end in ((1, 4), (4, 5), (5, 7)):
        first = chosen[:, begin : begin + 1]
        assert torch.equal(chosen[:, begin:end], first.expand(-1, end - begin))
        assert first.float().mean().item() == pytest.approx(0.15, abs=0.02)
    assert (chosen[:, 1] != chosen[:, 4]).any()


def make_lm_batch(tokenizer, *texts: str, pad_multiple: int = 1) -> Batch:
    return collator.make_batch(
        encode(tokenizer, *texts), task="t", pad_token_id=7, pad_multiple=pad_multiple
    )


TEXTS = (" ".join(WORDS[100:120]), "good xyz day", " ".join(WORDS[50:60]))


def scattered(batch: Batch, values: torch.Tensor) -> torch.Tensor:
    """(B, M) at the hidden positions -> (B, T), IGNORE elsewhere."""
    out = torch.full_like(batch.input_ids, IGNORE)
    for row, at in enumerate(batch.extras[MASKED_AT]):
        out[row, at] = values[row, : len(at)]
    return out


def test_labels_are_the_original_ids_of_what_is_hidden(tokenizer):
    kind = make_kind("MaskLM", tokenizer, options={"mask_probability": 0.4})
    batch = make_lm_batch(tokenizer, *TEXTS, pad_multiple=16)
    before = batch.input_ids.clone()
    seen = kind.prepare(batch, 3)
    assert torch.equal(batch.input_ids, before)
    labels = scattered(seen, seen.labels)
    hidden = labels != IGNORE
    assert hidden.sum() == (seen.labels != IGNORE).sum() > 8
    assert torch.equal(labels[hidden], before[hidden])
    assert torch.equal(seen.input_ids[~hidden], before[~hidden])
    assert (seen.input_ids != before).any()
    assert not torch.isin(before[hidden], torch.tensor(tokenizer.all_special_ids)).any()


def test_no_special_token_is_drawn_as_a_random_one(tokenizer):
    kind = make_kind("MaskLM", tokenizer)
    ids = [*kind.ordinary_ids.tolist(), *tokenizer.all_special_ids]
    assert sorted(ids) == list(range(len(tokenizer)))


def test_the_seed_alone_says_what_is_hidden(tokenizer):
    kind = make_kind("MaskLM", tokenizer)
    batch = make_lm_batch(tokenizer, *TEXTS)
    once, other = kind.prepare(batch, 1), kind.prepare(batch, 2)
    torch.manual_seed(99)
    again = kind.prepare(make_lm_batch(tokenizer, *TEXTS), 1)
    assert torch.equal(once.input_ids, again.input_ids)
    assert torch.equal(once.labels, again.labels)
    assert not torch.equal(once.input_ids, other.input_ids)


def test_padding_to_a_multiple_hides_the_same(tokenizer):
    kind = make_kind("MaskLM", tokenizer)
    narrow = kind.prepare(make_lm_batch(tokenizer, *TEXTS), 1)
    wide = kind.prepare(make_lm_batch(tokenizer, *TEXTS, pad_multiple=64), 1)
    assert wide.input_ids.shape[1] == 64
    assert torch.equal(wide.input_ids[:, : narrow.input_ids.shape[1]], narrow.input_ids)
    assert (wide.input_ids[:, narrow.input_ids.shape[1] :] == 7).all()
    assert torch.equal(wide.labels, narrow.labels)


# The head.


def make_model(tokenizer, architecture: str = "bert", **options) -> MTDNN:
    torch.manual_seed(0)
    tasks = {"t": make_task("MaskLM", options=options)}
    return MTDNN(tiny_encoder(architecture), tasks, ModelConfig(), tokenizer).eval()


def small_batch(tokenizer, count: int = 3, length: int = 12) -> Batch:
    """Ids below 100, the size of the tiny architectures' vocabulary."""
    words = [np.arange(length, dtype=np.int32)] * count
    return make_batch([length] * count, ids=(5, 100), extras={"word_ids": words}, is_padded=False)


@pytest.fixture
def small_tokenizer(tokenizer):
    """The tiny architectures know 100 ids only."""
    kind = copy.copy(tokenizer)
    kind.__class__ = type("Small", (type(tokenizer),), {"__len__": lambda self: 100})
    return kind


@pytest.mark.parametrize("architecture", ["bert", "albert", "electra"])
def test_hidden_positions_alone_get_the_logits_they_would_get(small_tokenizer, architecture):
    """Embeddings of ALBERT and ELECTRA are 16 wide here, hidden states 32."""
    model = make_model(small_tokenizer, architecture)
    assert model.heads["t"].words.weight.shape[1] == (32 if architecture == "bert" else 16)
    batch = model.task_types["t"].prepare(small_batch(small_tokenizer), 0)
    logits = model(batch)
    everywhere = {k: v for k, v in batch.extras.items() if k != MASKED_AT}
    full = model(Batch(**{**vars(batch), "extras": everywhere}))
    assert full.shape == (3, 12, 100)
    assert logits.shape == (*batch.labels.shape, 100)
    for row, at in enumerate(batch.extras[MASKED_AT]):
        assert torch.allclose(logits[row, : len(at)], full[row, at], atol=1e-5)
    labels = scattered(batch, batch.labels)
    expected = F.cross_entropy(full.flatten(0, 1), labels.flatten(), ignore_index=IGNORE)
    assert model.task_types["t"].loss(logits, batch).item() == pytest.approx(
        expected.item(), rel=1e-5
    )


def test_tied_embeddings_are_the_encoders_alone(small_tokenizer):
    model = make_model(small_tokenizer)
    words = model.encoder.model.get_input_embeddings().weight
    assert set(model.heads["t"].state_dict()) == {
        *("dense.weight", "dense.bias", "norm.weight", "norm.bias", "bias")
    }
    holders = [name for name, p in model.named_parameters(remove_duplicate=False) if p is words]
    assert len(holders) == 1
    groups = parameter_groups(model, OptimConfig())
    optimized = [parameter for group in groups for parameter in group["params"]]
    assert sum(parameter is words for parameter in optimized) == 1
    assert len({id(parameter) for parameter in optimized}) == len(optimized)
    batch = model.task_types["t"].prepare(small_batch(small_tokenizer), 0)
    model.logits(model.embed(batch).detach(), batch).sum().backward()
    assert words.grad.abs().sum() > 0  # through the head alone


def test_a_copy_of_the_model_is_tied_to_its_own_encoder(small_tokenizer):
    model = make_model(small_tokenizer)
    twin = copy.deepcopy(model)
    assert twin.heads["t"].words is twin.encoder.model.get_input_embeddings()
    assert twin.heads["t"].words is not model.encoder.model.get_input_embeddings()


def test_the_teachers_embeddings_are_used_on_both_sides(small_tokenizer):
    """After the student moved, the teacher answers as the student did before."""
    model = make_model(small_tokenizer)
    batch = model.task_types["t"].prepare(small_batch(small_tokenizer), 0)
    before = model(batch).detach()
    config = ProximalConfig(weight=1.0, teacher="mbpp", beta=0.9, beta_late=0.9, beta_switch=0.1)
    teacher = ProximalTeacher(model, config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    assert torch.allclose(teacher.logits(batch), before, atol=1e-5)
    assert not torch.allclose(model(batch), before, atol=0.1)


def test_nothing_hidden_is_no_loss_and_no_nan(small_tokenizer):
    model = make_model(small_tokenizer)
    kind = model.task_types["t"]
    batch = small_batch(small_tokenizer)
    batch.extras["word_ids"] = [np.full(12, -1, np.int32)] * 3
    batch = kind.prepare(batch, 0)
    logits = model(batch)
    loss = kind.loss(logits, batch) + kind.divergence(logits, logits + 1, batch)
    assert loss.item() == 0.0
    loss.backward()
    assert not any(p.grad is not None and p.grad.any() for p in model.parameters())
    predictions = kind.decode(logits.detach(), batch)
    assert [(p.value, p.scores, p.gold) for p in predictions] == [([], (0.0, 0), [])] * 3
    assert kind.guess([p.gold for p in predictions]) == [[], [], []]


@pytest.mark.parametrize("architecture", sorted(set(ARCHITECTURES) - {"t5", "nezha"}))
def test_the_checkpoints_own_head_is_taken_over(tmp_path, architecture):
    """As the architecture's masked language model computes it."""
    torch.manual_seed(0)
    full = hf.AutoModelForMaskedLM.from_config(ARCHITECTURES[architecture]()).eval()
    with torch.no_grad():
        for parameter in full.parameters():
            parameter.normal_(0.0, 0.3)
    full.save_pretrained(tmp_path)
    encoder = load_encoder(str(tmp_path))
    torch.manual_seed(1)
    head = make_kind("MaskLM").build_head(encoder, ModelConfig()).eval()
    batch = small_batch(None)
    with torch.no_grad():
        expected = full(input_ids=batch.input_ids).logits
        hidden = encoder.encode(encoder.embed(batch.input_ids), None)
        assert torch.allclose(head(hidden, batch), expected, atol=1e-4)


def test_without_one_in_the_checkpoint_the_head_is_drawn(tmp_path):
    torch.manual_seed(0)
    hf.AutoModel.from_config(ARCHITECTURES["bert"]()).save_pretrained(tmp_path)
    encoder = load_encoder(str(tmp_path))
    assert pretrained_weights(encoder) is None
    encoder.config.architectures = None  # says nothing: the weights themselves are asked
    state = torch.get_rng_state()
    assert pretrained_weights(encoder) is None
    assert torch.equal(torch.get_rng_state(), state)
    assert pretrained_weights(tiny_encoder("nezha")) is None


# What is predicted.


def test_perplexity_and_accuracy_by_hand(tokenizer):
    """Two windows of one row and another row; p of the right id is 1/2, 1/4 and 1/8."""
    kind = make_kind("MaskLM", tokenizer)
    logits = torch.full((3, 2, 4), -1e9)
    logits[0, 0, :2] = 0.0  # 1/2, gold 0
    logits[1, 0, :4] = torch.tensor([0.1, 0.0, 0.0, 0.0])  # arg max 0
    logits[2, 0, :4] = torch.tensor([0.25, 0.5, 0.125, 0.125]).log()
    logits[2, 1, 3] = 0.0
    labels = torch.tensor([[0, IGNORE], [IGNORE, IGNORE], [2, 3]])
    batch = Batch("t", ["a", "a", "b"], torch.ones(3, 5), torch.ones(3, 5), labels=labels)
    first, second, third = kind.decode(logits, batch)
    merged = kind.merge([first, second])
    assert merged == Prediction("a", [0], (pytest.approx(math.log(2)), 1), [0])
    both = kind.merge([first, third])
    assert both == Prediction("a", [0, 1, 3], (pytest.approx(math.log(16)), 3), [0, 2, 3])
    assert third.value == [1, 3]
    assert third.gold == [2, 3]
    found = [merged, third]
    gold, value = [p.gold for p in found], [p.value for p in found]
    perplexity = METRICS.get("Perplexity")(gold, value, [p.scores for p in found])
    assert perplexity == pytest.approx(math.exp((math.log(2) + math.log(8) + 0.0) / 3))
    assert METRICS.get("ACC")(gold, value) == pytest.approx(200 / 3)
    assert kind.guess([[7, 8], [7]]) == [[7, 7], [7]]


def test_ids_are_read_as_tokens(tokenizer):
    ids = [vocabulary()[token] for token in ("good", "##y")]
    assert make_kind("MaskLM", tokenizer).in_words(ids) == ["good", "##y"]


# What is refused.


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"options": {"mask_probability": 1.0}},
            r"tasks.yml:1: task 't': options: mask_probability: 1.0",
        ),
        ({"options": {"mask_prob": 0.1}}, r"mask_prob.*Did you mean 'mask_probability'"),
        ({"labels": ("a", "b"), "n_class": 2}, "labels: MaskLM takes its labels from the text"),
    ],
)
def test_wrong_settings(keys, message):
    with pytest.raises(UserError, match=message):
        make_task("MaskLM", **keys)


def test_a_tokenizer_without_mask_token_is_refused_when_the_head_is_built(tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(tiny_tokenizer(tmp_path))
    tokenizer.mask_token = None
    kind = make_kind("MaskLM", tokenizer)
    with pytest.raises(
        UserError, match=r"tasks.yml:1: task 't': MaskLM needs a mask token.*t5 has none"
    ):
        kind.build_head(tiny_encoder("t5"), ModelConfig())

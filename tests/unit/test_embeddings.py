"""Embeddings of texts, pairs and words, of any layer, of whole rows and of tokens."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

import mt_dnn
from data_utils.errors import UserError
from data_utils.text_rows import parse_texts, read_texts
from mt_dnn.inference.embeddings import token_places
from mt_dnn.inference.lines import Content, predict_lines
from mt_dnn.inference.predictor import Predictor
from tests.support.encoders import tiny_encoder_folder
from tests.support.model_folders import tasks_of, write_model
from tests.support.tokenizer_kinds import byte_level, unigrams

TASKS = "one: {data_format: PremiseOnly, task_type: Classification, n_class: 2, metric_meta: [ACC], layers: scalar_mix}\n"
PAIR = ("The dog  sleeps.", "A cat runs unhappily, again!")
ROWS = ["the dog sleeps in the house", PAIR, "a cat", {"tokens": ["The", "dogs'", "house"]}, "it"]


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    folder = tmp_path_factory.mktemp("embeddings")
    encoder = tiny_encoder_folder(folder / "encoder")
    write_model(folder / "run", tasks_of(folder, TASKS), encoder)
    return mt_dnn.load(folder / "run")


@pytest.fixture(scope="module")
def theirs(predictor: Predictor, tmp_path_factory: pytest.TempPathFactory):
    """transformers' own hidden states of a row, (L + 1, T, H), and its encoding."""
    folder = tmp_path_factory.mktemp("theirs")
    predictor.model.encoder.save_pretrained(folder)
    predictor.tokenizer.save_pretrained(folder)
    model, tokenizer = (
        AutoModel.from_pretrained(folder).eval(),
        AutoTokenizer.from_pretrained(folder),
    )

    @torch.inference_mode()
    def hidden(row):
        texts = [" ".join(row["tokens"])] if isinstance(row, dict) else row
        texts = [texts] if isinstance(texts, str) else texts
        encoded = tokenizer(*texts, return_tensors="pt")
        return torch.stack(model(**encoded, output_hidden_states=True).hidden_states)[:, 0], encoded

    return hidden


@pytest.mark.parametrize("layer", [-1, -2, 0, 1, 2, -3])
def test_a_layer_to_the_last_bit(predictor, theirs, layer):
    for row in ROWS:  # one by one: no padding
        states, _ = theirs(row)
        (found,) = predictor.token_embeddings([row], layer=layer)
        assert found.vectors.dtype == np.float32
        np.testing.assert_array_equal(found.vectors, states[layer].numpy())
        vector = predictor.embeddings([row], "cls", layer=layer)
        np.testing.assert_array_equal(vector, states[layer][:1].numpy())


def test_layers_differ_and_the_default_is_the_last(predictor):
    first, second, last = (predictor.embeddings(["a cat"], layer=layer) for layer in range(3))
    assert not np.allclose(first, second)
    assert not np.allclose(second, last)
    np.testing.assert_array_equal(predictor.embeddings(["a cat"]), last)


def test_texts_pairs_and_words_in_one_call_keep_their_order(predictor, theirs):
    found = predictor.embeddings(ROWS, batch_size=2)
    tokens = predictor.token_embeddings(ROWS, batch_size=2)
    for row, vector, own in zip(ROWS, found, tokens, strict=True):
        states, _ = theirs(row)
        np.testing.assert_allclose(vector, states[-1].mean(0), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(own.vectors, states[-1], rtol=1e-4, atol=1e-5)
        assert len(own.tokens) == len(own.offsets) == len(own.vectors)
    assert predictor.embeddings([]).shape == (0, 32)
    assert predictor.token_embeddings([]) == []


def test_a_pair_is_not_the_text_of_both(predictor):
    as_pair, as_text = predictor.embeddings([PAIR, " ".join(PAIR)])
    assert not np.allclose(as_pair, as_text, atol=1e-3)
    as_dict = predictor.embeddings([{"premise": PAIR[0], "hypothesis": PAIR[1], "label": "x"}])
    np.testing.assert_allclose(as_dict[0], as_pair, rtol=1e-4, atol=1e-6)


def test_offsets_find_each_token_in_its_text(predictor):
    pair, words = predictor.token_embeddings([PAIR, {"tokens": ["The", "dogs'", "house"]}])
    for row, texts in ((pair, PAIR), (words, ["The", "dogs'", "house"])):
        for token, place in zip(row.tokens, row.offsets, strict=True):
            if place is None:
                assert token in ("[CLS]", "[SEP]")
            elif token != "[UNK]":
                text, start, end = place
                assert texts[text][start:end].lower() == token.removeprefix("##")
    assert [place for place in pair.offsets if place is None] == [None] * 3
    assert pair.offsets[1:4] == [(0, 0, 3), (0, 4, 7), (0, 9, 14)]
    assert {place[0] for place in words.offsets if place} == {0, 1, 2}
    starts = [i for i, place in enumerate(words.offsets) if place and place[1] == 0]
    assert len(starts) == 3  # the first token of each word


@pytest.mark.parametrize("tokenizer", [byte_level(), unigrams()], ids=["byte-level", "unigrams"])
def test_offsets_without_the_blanks_of_tokens(tokenizer):
    for row in (PAIR, {"tokens": ["the", "dogs", "and", "a", "house"]}):
        ((task, example),) = parse_texts([row])
        tokens, places = token_places(example, task, tokenizer, max_seq_len=99)
        seen = [""] * len(example.texts)
        for token, place in zip(tokens, places, strict=True):
            assert (place is None) == (token in tokenizer.all_special_tokens)
            if place is not None and token != "▁":  # which may have the place of the token after it
                number, start, end = place
                part = example.texts[number][start:end]
                assert part == token.strip("▁Ġ") or token == "<unk>"
                seen[number] += part
        assert seen == [text.replace(" ", "") for text in example.texts]


def test_a_long_row_is_cut_as_its_tokens_are(predictor):
    (found,) = predictor.token_embeddings(["dog " * 100])
    assert len(found.tokens) == len(found.vectors) == predictor.max_seq_len


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        (["a"], {"layer": 3}, r"layer: 3; .* 0 \(the output of its embeddings\) to 2, or -3 to -1"),
        (["a"], {"layer": -4}, "layer: -4;"),
        (["a"], {"batch_size": 0}, "batch_size: 0"),
        ([("a", "b", "c")], {}, "row 0: .*a row to embed is a text, a pair of texts, or a dict"),
        (["a", 3], {}, "row 1: 3: a row to embed"),
        ([{"text": "a"}], {}, "row 0: column 'premise' is missing; the row has label, text, uid"),
        ("a", {}, "put it in a list"),
    ],
)
def test_mistakes(predictor, rows, settings, message):
    with pytest.raises(UserError, match=message):
        predictor.embeddings(rows, **settings)
    with pytest.raises(UserError, match=message):
        predictor.token_embeddings(rows, **settings)


def texts_of(text: str, name: str = "<stdin>") -> list[tuple]:
    rows = read_texts(io.StringIO(text), name=name)
    return [
        tuple(row.values[key] for key in ("uid", "premise", "hypothesis") if key in row.values)
        for row in rows
    ]


def test_the_lines_of_a_file():
    assert texts_of("a dog\nit ||| a cat\n") == [("0", "a dog"), ("1", "it", "a cat")]
    assert texts_of("a|||b\n") == [("0", "a", "b")]
    assert texts_of("a\tb\n") == [("0", "a", "b")]
    assert texts_of("7\tx\ta\n") == [("7", "a")]
    assert texts_of("7\tx\ta\tb\n") == [("7", "a", "b")]
    json_lines = '{"premise": "a ||| b"}\n["a", "b"]\n"a"\n'
    assert texts_of(json_lines) == [("0", "a ||| b"), ("1", "a", "b"), ("2", "a")]
    assert texts_of('"a"\n', "rows.jsonl") == [("0", "a")]
    assert texts_of("premise,hypothesis\na,b ||| c\n", "rows.csv") == [("0", "a", "b ||| c")]
    assert texts_of("uid,premise\n7,a\n", "rows.csv") == [("7", "a")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\nb ||| c ||| d\n", r"^<stdin>:2: a pair is two texts with one \|\|\| between them"),
        ("a |||\n", "^<stdin>:1: a pair is two texts"),
        ("a\tb\tc\td\te\n", "^<stdin>:1: 5 columns; embeddings need, tab-separated: premise; or "),
        ("a\nb\tc\n", "^<stdin>:2: 2 columns"),
        ('{"premise": "a"}\n{\n', "^<stdin>:2: not JSON"),
        ('{"premise": "a"}\n5\n', "^<stdin>:2: 5: a row to embed"),
        ("\n", "has no rows"),
    ],
)
def test_wrong_lines(text, message):
    with pytest.raises(UserError, match=message):
        texts_of(text)


def written(predictor: Predictor, text: str, content: Content) -> list[dict]:
    output: list[str] = []
    predict_lines(
        predictor,
        predictor.task("one"),
        io.StringIO(text),
        name="<stdin>",
        content=content,
        write=output.append,
        batch_size=2,
        chunk=2,
    )
    return [json.loads(line) for line in "".join(output).splitlines()]


def test_lines_written(predictor):
    text, rows = "the dog sleeps ||| a cat\nit\n", [("the dog sleeps", "a cat"), "it"]
    lines = written(predictor, text, Content("embeddings", layer=-2, tokens=True, text=True))
    for line, own in zip(lines, predictor.token_embeddings(rows, layer=-2), strict=True):
        assert (line["tokens"], line["offsets"]) == (
            own.tokens,
            json.loads(json.dumps(own.offsets)),
        )
        np.testing.assert_allclose(line["embedding"], own.vectors, rtol=1e-5)
    texts = [{"premise": "the dog sleeps", "hypothesis": "a cat"}, {"premise": "it"}]
    assert [line["text"] for line in lines] == texts
    assert [list(line) for line in lines] == [["uid", "tokens", "offsets", "embedding", "text"]] * 2
    lines = written(predictor, text, Content("embeddings", pooling="max"))
    expected = predictor.embeddings(rows, "max")
    np.testing.assert_allclose([line["embedding"] for line in lines], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layer": -1}, "--layer applies to --what embeddings only; predictions have none"),
        ({"what": "logits", "tokens": True}, "--tokens applies to --what embeddings only; logits"),
        ({"pooling": "cls"}, "--pooling applies to"),
        ({"what": "embeddings", "tokens": True, "pooling": "cls"}, "leave it out with --tokens"),
    ],
)
def test_flags_that_do_not_fit(settings, message):
    with pytest.raises(UserError, match=message):
        Content(**settings)

"""Tiny random models for tests: one config per architecture, and a complete BERT folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from transformers import PreTrainedConfig

from mt_dnn.encoders.encoder import Encoder

VOCAB = 100
_SIZES: dict[str, Any] = {
    "vocab_size": VOCAB,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
}
_SPECIAL: dict[str, Any] = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}  # RoBERTa's

_config = hf.AutoConfig.for_model


def _deberta() -> PreTrainedConfig:
    """As DeBERTa-v3: relative positions only, normalised, the projections shared with content."""
    return _config(
        "deberta-v2",
        **_SIZES,
        relative_attention=True,
        position_buckets=8,
        norm_rel_ebd="layer_norm",
        share_att_key=True,
        pos_att_type=["p2c", "c2p"],
        position_biased_input=False,
        type_vocab_size=0,
    )


ARCHITECTURES: dict[str, Callable[[], PreTrainedConfig]] = {
    "bert": lambda: _config("bert", **_SIZES),
    "roberta": lambda: _config("roberta", **_SIZES, **_SPECIAL, type_vocab_size=1),
    "deberta-v2": _deberta,
    "electra": lambda: _config("electra", **_SIZES, embedding_size=16),
    "albert": lambda: _config(
        "albert",
        **_SIZES,
        embedding_size=16,
        hidden_dropout_prob=0.1,
        bos_token_id=2,
        eos_token_id=3,
    ),
    "distilbert": lambda: _config(
        "distilbert",
        vocab_size=VOCAB,
        dim=32,
        n_layers=2,
        n_heads=2,
        hidden_dim=48,
        max_position_embeddings=64,
    ),
    "mpnet": lambda: _config("mpnet", **_SIZES, **_SPECIAL),
    "xlm-roberta": lambda: _config("xlm-roberta", **_SIZES, **_SPECIAL, type_vocab_size=1),
    "modernbert": lambda: _config(
        "modernbert",
        **_SIZES,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        cls_token_id=1,
        sep_token_id=2,
        local_attention=4,
        global_attn_every_n_layers=2,
        embedding_dropout=0.1,
        mlp_dropout=0.1,
    ),
    "nezha": lambda: _config("nezha", **_SIZES, max_relative_position=4),
    "t5": lambda: _config(
        "t5", vocab_size=VOCAB, d_model=32, d_kv=16, d_ff=48, num_layers=2, num_heads=2
    ),
}
"""The supported architectures, 2 layers each, with dropout."""


def tiny_encoder(architecture: str = "bert", *, attention: str = "sdpa", seed: int = 0) -> Encoder:
    """Random weights in eval mode, every one of them away from its usual 0 or 1.

    Freshly initialised biases, LayerNorms and padding rows would hide what is applied twice or
    left out.
    """
    with torch.random.fork_rng(devices=[]):
        encoder = Encoder.from_config(ARCHITECTURES[architecture](), attention=attention)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.normal_(0.0, 0.3, generator=generator)
    return encoder.eval()


_WORD_LIST = """
a about above accurate actor after again against age air all alone also always amazing an and animal
another answer any apple are art as asia at author award away awful back bad ball band bank banana
basketball be beach beautiful because bed before began best better between big bird black blue boat
body book boring born both box boy bread bridge bright bring brother brown building built bus but
buy by cake call came can capital car cat center century chair cheap child children china church
city class clean clear climb close clothes cloud club coffee cold color come company cook could
country cow cup cut dance dark daughter day dead dear death deep did different dinner do doctor does
dog door down draw dream drink drive dull during each early earth east easy eat egg eight empire end
england english enjoy enough europe even evening ever every eye face fact fall false family far farm
fast father feel few field film find fine fire first fish five flat flower fly food foot for forest
found four france french fresh friend from fruit full fun funny game garden gave german germany get
girl give go gold good got grass great green ground group grow guitar had hair half hand happy hard
has hat hate have he head hear heart heavy help her here high hill him his history hit hold home
horse hospital hot hotel hour house how hundred hungry i ice idea if in inside into is island it
italy its james japan job john join jump just keep kick kind king kitchen knew know lady lake land
language large last late laugh lead learn leave left less let letter life light like line lion list
listen little live lived london long look lost lot loud love low lunch made make man many map market
mary may me mean meat meet men met middle might mile milk minute money month moon more morning most
mother mountain mouse move movie much museum music must my name near never new news next nice night
nine no none north not nothing now number ocean of off office often oh old on once one only open or
orange organization other our out outside over paint paper parent paris park part party past peace
people person piano picture piece place plane plant play player please plot poem point poor possible
power president price prince problem produce question quick quiet rain ran rather read ready real
red rich right ring river road rock roof room round rule run sad said sail same sat saw say scene
school science sea season second see seem seen sell send seven she ship shoe shop short should show
sing sister sit six skin sky sleep slow small smile smith snow so soft some son song soon south
space spain speak spring stand star start state station stay still stone stop store story street
strong student study summer sun sure swim table take talk tall tea teacher team tell temple ten
terrible than that the their them then there these they thing think third this those though three
through time to today together told too took top town trade train tree trip true try turn twelve two
under university until up us use very visit voice wait walk wall want war warm was watch water way
we weather week well went were west what when where which while white who whole why wide wife wild
will win wind window winter wish with without woman women wonderful wood word work world would write
written wrong year yellow yes yesterday york you young your zero
"""
WORDS = _WORD_LIST.split()
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_PUNCTUATION = ".,;:!?'\"()-/$%&"


def vocabulary() -> dict[str, int]:
    """Token -> id: special tokens, characters, continuations, words; ASCII letters never give [UNK]."""
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *_PUNCTUATION, *_LETTERS]
    tokens += [f"##{letter}" for letter in _LETTERS] + WORDS
    return {token: index for index, token in enumerate(dict.fromkeys(tokens))}


def tiny_tokenizer(folder: str | Path) -> Path:
    """Write a lowercasing WordPiece tokenizer of :func:`vocabulary`; returns the folder."""
    tokenizer = hf.BertTokenizer(vocab=vocabulary(), do_lower_case=True, model_max_length=128)
    tokenizer.save_pretrained(folder)
    return Path(folder)


def tiny_encoder_folder(folder: str | Path, *, seed: int = 0) -> Path:
    """Write a complete random BERT (2 layers, hidden 32, 2 heads, 128 positions) and its tokenizer.

    The same ``seed`` gives the same weights; torch's global generator is left as it was.
    """
    config = hf.BertConfig(
        **{**_SIZES, "vocab_size": len(vocabulary()), "max_position_embeddings": 128}
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = hf.BertModel(config)
    model.save_pretrained(folder)
    return tiny_tokenizer(folder)

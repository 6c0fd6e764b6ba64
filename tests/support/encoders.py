"""Tiny random encoders: one per architecture, and a complete BERT folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from transformers import PreTrainedConfig

from mt_dnn.encoders.encoder import Encoder
from tests.support.words import tiny_tokenizer, vocabulary

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


def tiny_t5(folder: Path, *, vocab_size: int, **settings: Any) -> None:
    """Write a random T5 with its decoder; ``settings`` go to T5Config."""
    sizes = {"d_model": 32, "d_kv": 16, "d_ff": 48, "num_layers": 2, "num_heads": 2}
    config = hf.T5Config(vocab_size=vocab_size, decoder_start_token_id=0, **{**sizes, **settings})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        hf.T5ForConditionalGeneration(config).save_pretrained(folder)

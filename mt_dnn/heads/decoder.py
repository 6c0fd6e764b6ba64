"""A pretrained decoder as a head: hidden states -> text, token by token."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import Tensor, nn
from transformers import AutoModelForSeq2SeqLM, PreTrainedConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING

from data_utils.collator import IGNORE, Batch
from data_utils.errors import UserError
from mt_dnn.encoders.attention import use_own_sdpa
from mt_dnn.encoders.dropout import make_dropout_cheap
from mt_dnn.encoders.encoder import Encoder
from mt_dnn.encoders.pretrained import load_errors, quiet

HEADS_FILE = "heads.safetensors"
"""File in the model folder of a run that contains the weights of the heads."""


class DecoderHead(nn.Module):
    """The decoder of T5 on the shared encoder.

    The word embeddings belong to the encoder and are not registered in this module. They are
    therefore saved, optimized and (for the proximal teacher) replaced only once, in the encoder. If the
    checkpoint ties the output layer to the word embeddings (T5 1.0, which then scales the input of that
    layer by H^-1/2), the same holds for the output layer. Otherwise the output layer is part of this
    module.

    Args:
        encoder: an encoder of the T5 family.
        head_name: name of the head, to find its weights in the folder of a run.
        where: file and line of the task, for error messages.

    Raises:
        UserError: the architecture of the encoder has no decoder, or its checkpoint lacks weights of
            the decoder.

    Source: Raffel et al. 2020, arXiv 1910.10683.
    """

    words: nn.Embedding

    def __init__(self, encoder: Encoder, *, head_name: str = "", where: str = "") -> None:
        super().__init__()
        config = copy.deepcopy(encoder.config)
        config.is_encoder_decoder = True  # the encoder-only class sets it to False
        if type(config) not in MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING:
            raise UserError(
                f"{where}: {config.model_type} has no decoder to generate text with. "
                f"Choices: an encoder of the T5 family, such as google-t5/t5-small."
            )
        with quiet():
            model = AutoModelForSeq2SeqLM.from_config(config, dtype=torch.float32)
        words = encoder.model.get_input_embeddings()
        assert isinstance(words, nn.Embedding)
        object.__setattr__(self, "words", words)  # not registered
        self.scale = config.d_model**-0.5 if is_tied(config) else 1.0
        self.pad_id = int(config.pad_token_id)
        start = getattr(config, "decoder_start_token_id", None)
        self.start_id = self.pad_id if start is None else int(start)
        self.eos_id = int(config.eos_token_id)
        if (weights := _pretrained_weights(encoder, head_name, where)) is not None:
            # _pretrained_weights has checked that none is missing.
            model.load_state_dict(weights, strict=False)
        self.decoder = model.decoder
        self.decoder.embed_tokens = None
        self.output = (
            None if is_tied(config) else nn.Linear(config.d_model, len(words.weight), bias=False)
        )
        if self.output is not None:
            self.output.weight = nn.Parameter(model.lm_head.weight.detach().clone())
        use_own_sdpa(self.decoder)
        make_dropout_cheap(self.decoder)

    def forward(self, hidden: Tensor, batch: Batch) -> Tensor:
        """Compute the logits (B, L, V) by teacher forcing: the input is the gold text."""
        assert batch.labels is not None
        gold = batch.labels.masked_fill(batch.labels == IGNORE, self.pad_id)
        return self._logits(F.pad(gold[:, :-1], (1, 0), value=self.start_id), hidden, batch)

    @torch.no_grad()
    def greedy(self, hidden: Tensor, batch: Batch, *, longest: int) -> Tensor:
        """Generate by greedy search until all texts have ended.

        Every step computes the whole prefix again. Label words have a few tokens, so a cache would not
        save much.

        Args:
            hidden: (B, T, H).
            batch: the batch of ``hidden``.
            longest: largest number of tokens to generate.

        Returns:
            The logits of all steps, (B, L, V).
        """
        ids = torch.full((len(hidden), 1), self.start_id, device=hidden.device)
        ended = torch.zeros(len(hidden), dtype=torch.bool, device=hidden.device)
        steps = []
        for _ in range(longest):
            step = self._logits(ids, hidden, batch)[:, -1]  # (B, V)
            steps.append(step)
            chosen = step.argmax(-1)
            ended |= chosen == self.eos_id
            if ended.all():
                break
            ids = torch.cat([ids, chosen.unsqueeze(1)], dim=1)
        return torch.stack(steps, dim=1)

    def _logits(self, ids: Tensor, hidden: Tensor, batch: Batch) -> Tensor:
        """Compute the logits (B, L, V) that follow each token of ``ids``, (B, L)."""
        decoded = self.decoder(
            inputs_embeds=self.words(ids),
            encoder_hidden_states=hidden,
            encoder_attention_mask=batch.attention_mask if batch.is_padded else None,
            use_cache=False,
        ).last_hidden_state  # (B, L, H)
        weight = self.words.weight if self.output is None else self.output.weight
        return F.linear(decoded * self.scale, weight)


def is_tied(config: PreTrainedConfig) -> bool:
    """Whether the output layer shares its weights with the word embeddings.

    transformers always sets ``tie_word_embeddings`` and keeps the value of the checkpoint in
    ``scale_decoder_outputs``.
    """
    return bool(getattr(config, "scale_decoder_outputs", config.tie_word_embeddings))


def _pretrained_weights(encoder: Encoder, head_name: str, where: str) -> dict[str, Tensor] | None:
    """Read the weights of the encoder-decoder from the checkpoint of the encoder.

    Returns:
        The weights, or None if there is nothing to read: the encoder is random, or it comes from a
        run, whose heads are loaded after they are built.

    Raises:
        UserError: the run does not contain this head, or the checkpoint lacks weights of the decoder.
    """
    source = encoder.source
    if source is None:
        return None
    if (heads := Path(source) / HEADS_FILE).is_file():
        with safe_open(heads, "pt") as saved:
            if any(name.startswith(f"{head_name}.decoder.") for name in saved.keys()):  # noqa: SIM118
                return None
        raise UserError(
            f"{where}: the run {source} has no head {head_name!r} and no pretrained decoder, so the "
            "decoder would stay random. Train the task in that run, or start from the checkpoint that "
            "the run started from."
        )
    fork = torch.random.fork_rng(devices=[])
    with quiet(), load_errors(source, "decoder"), fork:
        model, info = AutoModelForSeq2SeqLM.from_pretrained(
            source, dtype=torch.float32, output_loading_info=True
        )
    missing = sorted(name for name in info["missing_keys"] if name.startswith("decoder."))
    if not is_tied(model.config) and model.lm_head.weight is model.get_input_embeddings().weight:
        # transformers ties a missing output layer without a warning.
        missing.append("lm_head.weight")
    if missing:
        raise UserError(
            f"{where}: the checkpoint of {source!r} lacks {len(missing)} weights of its decoder, so "
            f"they would stay random: {', '.join(missing[:3])}{', ...' if len(missing) > 3 else ''}. "
            "Use a checkpoint that contains the decoder."
        )
    return dict(model.state_dict())

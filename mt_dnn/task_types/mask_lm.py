"""Task type: masked language modelling; logits (B, M, V) at the M masked positions."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from data_utils.collator import IGNORE, Batch
from data_utils.collator import pad as pad_rows
from data_utils.errors import UserError
from data_utils.formats.mlm import NO_WORD
from data_utils.labels import LabelKind, LabelSpec, LabelUnit
from data_utils.metrics.outcome import Outcome
from data_utils.task_def import TaskDef
from mt_dnn.config.run import ModelConfig
from mt_dnn.encoders.encoder import Encoder
from mt_dnn.heads.mask_lm import MASKED_AT, MaskLMHead, pretrained_weights
from mt_dnn.heads.masking import UNTOUCHED, choose_positions, replacement_ids, to_device
from mt_dnn.task_types.prediction import Prediction
from mt_dnn.task_types.tokens import TokenTaskType


class MaskLM(TokenTaskType):
    """Masked language modelling (Devlin et al. 2019, arXiv 1810.04805).

    With smoothness regularization, this is ALUM (Liu et al. 2020, arXiv 2004.08994).

    Each time a training batch is used, other tokens are masked. Evaluation masks the same tokens each
    time, as long as the batches are the same; another ``batch.eval_size`` changes the masked tokens.

    The head is initialized from the head of the checkpoint, if there is one. BERT, RoBERTa and
    ELECTRA's generator have one; ELECTRA's discriminator and encoders saved without a head do not.
    Otherwise BERT's random initialization is used.

    In a prediction, ``value`` and ``gold`` are the token ids at the masked positions. ``scores`` is a
    pair: the sum of the negative log-likelihoods in nats, and the number of masked tokens; by name,
    ``nats`` and ``tokens``.
    """

    label: ClassVar[LabelSpec] = LabelSpec(LabelKind.TOKEN, LabelUnit.WINDOW)
    options: ClassVar[dict[str, Any]] = {"mask_probability": 0.15, "whole_word": False}
    losses: ClassVar[tuple[str, ...]] = ("MlmCriterion", "CeCriterion")

    def __init__(self, task: TaskDef, tokenizer: PreTrainedTokenizerBase | None = None) -> None:
        super().__init__(task, tokenizer)
        if tokenizer is not None:
            special = set(tokenizer.all_special_ids)
            ids = [token for token in range(len(tokenizer)) if token not in special]
            self.ordinary_ids = torch.tensor(ids)

    @classmethod
    def check(cls, task: TaskDef) -> TaskDef:
        if task.labels:
            raise UserError(
                f"{task.where}: labels: {task.task_type} takes its labels from the text; remove labels"
            )
        task = super().check(task)
        probability = task.options["mask_probability"]
        if not 0 < probability < 1:
            raise UserError(
                f"{task.where}: options: mask_probability: {probability} is outside (0, 1)"
            )
        return task

    @classmethod
    def outcome(cls, task: TaskDef) -> Outcome | None:
        return Outcome.TOKENS

    def build_head(self, encoder: Encoder, config: ModelConfig) -> nn.Module:
        if self.tokenizer is not None and self.tokenizer.mask_token_id is None:
            raise UserError(
                f"{self.task.where}: {self.task.task_type} needs a mask token, and the tokenizer of "
                f"{encoder.config.model_type} has none. Use an encoder that was pretrained by "
                "masking, such as bert-base-uncased"
            )
        head = MaskLMHead(encoder)
        if weights := pretrained_weights(encoder):
            head.load_state_dict(weights)
        return head

    def prepare(self, batch: Batch, seed: int) -> Batch:
        """Mask tokens and set the labels.

        Positions are drawn on the host, so that all devices mask the same tokens.
        """
        assert self.tokenizer is not None
        options = self.task.options
        generator = torch.Generator().manual_seed(seed)
        chosen = choose_positions(
            pad_rows(batch.extras["word_ids"], NO_WORD),
            probability=options["mask_probability"],
            whole_word=options["whole_word"],
            generator=generator,
        )
        shown = replacement_ids(
            chosen,
            mask_id=int(self.tokenizer.mask_token_id),
            ordinary_ids=self.ordinary_ids,
            generator=generator,
        )
        masked_at = [row.nonzero().flatten().numpy() for row in chosen]
        device, width = batch.input_ids.device, batch.input_ids.shape[1]
        at = to_device(pad_rows(masked_at, -1), device)  # (B, M)
        shown = to_device(F.pad(shown, (0, width - shown.shape[1]), value=UNTOUCHED), device)
        return dataclasses.replace(
            batch,
            input_ids=torch.where(shown == UNTOUCHED, batch.input_ids, shown),
            labels=batch.input_ids.gather(1, at.clamp(min=0)).masked_fill(at < 0, IGNORE),
            extras={**batch.extras, MASKED_AT: masked_at},
        )

    def decode(self, logits: Tensor, batch: Batch) -> list[Prediction]:
        predictions = []
        for row, (uid, own) in enumerate(
            zip(batch.uids, self.unpadded(logits, batch), strict=True)
        ):
            if batch.labels is None:
                predictions.append(Prediction(uid, own.argmax(-1).tolist(), None))
                continue
            labels = batch.labels[row]
            gold = labels[labels != IGNORE]
            nats = F.cross_entropy(own.float(), gold, reduction="sum").item()
            value = own.argmax(-1).tolist()
            predictions.append(Prediction(uid, value, (nats, len(gold)), gold.tolist()))
        return predictions

    def unpadded(self, logits: Tensor, batch: Batch) -> list[Tensor]:
        labelled = self.labels(logits, batch) != IGNORE
        return [row[own] for row, own in zip(logits, labelled, strict=True)]

    def merge(self, windows: list[Prediction]) -> Prediction:
        nats, counts = zip(*(window.scores for window in windows), strict=True)
        return Prediction(
            windows[0].uid,
            [token for window in windows for token in window.value],
            (sum(nats), sum(counts)),
            [token for window in windows for token in window.gold],
        )

    def guess(self, gold: list[Any]) -> list[Any]:
        return super().guess(gold) if any(gold) else gold

    def in_words(self, value: list[int]) -> list[str]:
        assert self.tokenizer is not None
        return list(self.tokenizer.convert_ids_to_tokens(value))

    def named_scores(self, scores: tuple[float, int]) -> dict[str, float]:
        return dict(zip(("nats", "tokens"), scores, strict=True))

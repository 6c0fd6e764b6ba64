"""The reference: a hand-written fine-tuning loop that uses only torch and transformers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from transformers import AutoModelForSequenceClassification, get_linear_schedule_with_warmup

from data_utils.collator import Batch
from mt_dnn.encoders.pretrained import quiet, resolve_encoder


class BareLoop:
    """Train a classifier with AdamW, gradient clipping and a schedule, without logging or checks.

    Args:
        encoder: as ``model.encoder`` of a run.
        total: number of updates of the schedule.
        compiled: options of torch.compile; None: do not compile.
    """

    def __init__(
        self,
        encoder: str,
        *,
        n_class: int,
        device: torch.device,
        total: int,
        compiled: dict[str, Any] | None = None,
    ) -> None:
        self.device = device
        with quiet():  # suppress the warning that the output layer is newly initialized
            self.model = AutoModelForSequenceClassification.from_pretrained(
                resolve_encoder(encoder), num_labels=n_class, dtype=torch.float32
            )
        self.model.to(device).train()
        if compiled is not None:
            self.model.compile(**compiled)
        fused = device.type in ("cuda", "cpu")
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=5e-5, fused=fused)
        self.schedule = get_linear_schedule_with_warmup(self.optimizer, total // 10, total)

    def train(self, batches: Iterable[Batch], *, precision: str) -> None:
        """Do one update per batch."""
        kind, autocast = self.device.type, precision == "bf16"
        for batch in batches:
            batch = batch.to(self.device)
            inputs = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
            if batch.token_type_ids is not None:
                inputs["token_type_ids"] = batch.token_type_ids
            with torch.autocast(kind, torch.bfloat16, enabled=autocast):
                logits = self.model(**inputs).logits  # (B, C)
            assert batch.labels is not None
            F.cross_entropy(logits.float(), batch.labels).backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.schedule.step()
            self.optimizer.zero_grad()

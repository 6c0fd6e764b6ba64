"""Task type: classes in an order; logits (B, C - 1), one for each threshold between two classes."""

import torch
import torch.nn.functional as F

from data_utils.labels import CLASS_PER_EXAMPLE
from mt_dnn.divergences import Output
from mt_dnn.heads.pooled import sequence_head
from mt_dnn.registries import TASK_TYPES
from mt_dnn.task_types import Prediction
from mt_dnn.task_types.checks import check_class_count
from mt_dnn.task_types.examples import ExampleTaskType


@TASK_TYPES.register("Ordinal")
class Ordinal(ExampleTaskType):
    """Classes in an order. Logit k is the log-odds that the class is above k (Cheng et al. 2008).

    The loss is the binary cross-entropy summed over thresholds, the mean over examples.
    """

    label = CLASS_PER_EXAMPLE
    output = Output.LABELS  # every threshold is a yes-or-no question
    default_divergence = "bernoulli_symmetric_kl"
    auto_model = None  # transformers has no such head
    options = {"threshold": 0.5}

    @classmethod
    def check(cls, task):
        check_class_count(task, at_least=2)
        return super().check(task)

    def build_head(self, encoder, config):
        return sequence_head(encoder, self.task.n_class - 1, task=self.task, config=config)

    def loss(self, logits, batch):
        thresholds = torch.arange(logits.shape[1], device=logits.device)
        above = (batch.labels.unsqueeze(1) > thresholds).float()  # (B, C - 1)
        loss = F.binary_cross_entropy_with_logits(logits.float(), above, reduction="none")
        return loss.sum(1).mean()

    def decode(self, logits, batch):
        above = logits.float().sigmoid()  # (B, C - 1)
        values = (above > self.task.options["threshold"]).sum(1).tolist()
        gold = [None] * len(batch) if batch.labels is None else batch.labels.tolist()
        rows = zip(batch.uids, values, above.tolist(), gold, strict=True)
        return [Prediction(*row) for row in rows]

"""Task files that are right, and how a wrong one is refused."""

from __future__ import annotations

import re

import pytest

from data_utils.errors import UserError

PAIR = """\
rte:
  data_format: PremiseAndOneHypothesis
  task_type: Classification
  labels: [not_entailment, entailment]
  metric_meta: [ACC]
"""
NUMBER = """\
stsb:
  data_format: PremiseAndOneHypothesis
  task_type: Regression
  n_class: 1
  metric_meta: [Pearson, Spearman]
"""


def refused(load, text: str, *words: str, line: int | None = None, **others: str) -> str:
    with pytest.raises(UserError) as error:
        load(text, **others)
    message = str(error.value)
    assert re.search(rf"tasks\.yml:{line or '[0-9]+'}", message)
    for word in words:
        assert word in message
    return message

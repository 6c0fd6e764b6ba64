"""A metric by name, and the same where it is undefined."""

from __future__ import annotations

import pytest

from data_utils.registries import METRICS


def score(name: str, gold, predicted, scores=None, **given):
    return METRICS.get(name)(gold, predicted, scores, **given)


def reported(name: str, of: str, *args, **given):
    """The score, which comes with a warning that it is undefined."""
    with pytest.warns(UserWarning, match=f"^{name} of {of} is undefined; reported as "):
        return score(name, *args, **given)

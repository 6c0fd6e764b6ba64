"""Metrics of probabilities: AUC, expected calibration error and perplexity."""

from __future__ import annotations

import math

import numpy as np

from data_utils.errors import UserError
from data_utils.metrics.base import Results, Undefined, metric
from data_utils.metrics.classes import CLASSES
from data_utils.metrics.outcome import Outcome
from data_utils.metrics.statistics import Statistics

BINS = 15
"""Number of confidence bins of the calibration error."""


def confidence_bins(confidence: np.ndarray) -> np.ndarray:
    """Return the number of the bin (lower, upper] of each confidence, from 0 to BINS - 1."""
    inner_edges = np.arange(1, BINS) / BINS
    return np.digitize(confidence, inner_edges, right=True)


@metric(
    needs=("scores",),
    fits=(Outcome.BINARY, Outcome.CANDIDATES, Outcome.SET),
    undefined=50.0,
    constant=50.0,
)
def auc(results: Results) -> float:
    """Area under the ROC curve; undefined if only one class occurs.

    For label sets, it is the mean of the areas of the labels. Labels that never or always occur are
    excluded.

    Raises:
        UserError: there are more than two classes.
    """
    from sklearn.metrics import roc_auc_score

    gold, _ = results.classes()
    p = results.probabilities()
    if results.has_sets:
        columns = list(zip(gold.T, p.T, strict=True))
    elif results.class_count <= 2:
        columns = [(gold == 1, p[:, -1] if p.ndim == 2 else p)]
    else:
        raise UserError(f"it takes two classes, not {results.class_count}")
    areas = [roc_auc_score(truth, score) for truth, score in columns if len(np.unique(truth)) > 1]
    if not areas:
        raise Undefined("one class only")
    return 100.0 * float(np.mean(areas))


@metric(
    needs=("scores",),
    fits=(*CLASSES, Outcome.POSITION, Outcome.SET),
    greater_is_better=False,
    undefined=100.0,
)
def calibration_error(results: Results) -> float:
    """Expected calibration error: sum over bins of |B| / n |accuracy(B) - confidence(B)|.

    There are 15 bins (lower, upper] of equal width. The confidence is the probability of the
    predicted class, as the task type gives it. Without a task type, it is taken from the scores: for a
    candidate or a label in a set, which is a binary decision, it is p if predicted, else 1 - p. A word beyond the maximum length, with probability 0, is left out, because
    the model did not decide it. Source: Guo et al. 2017 (arXiv 1706.04599), eq. 3.

    Raises:
        UserError: a score is outside 0..1.
    """
    gold, predicted = results.classes()
    p = results.probabilities()
    if p.min() < 0 or p.max() > 1 + 1e-6:
        raise UserError("it takes probabilities, and the scores lie outside 0..1")
    if results.confidence is not None and None not in results.confidence:
        confidence = np.concatenate([np.atleast_1d(own) for own in results.confidence])
        gold, predicted, confidence = _decided(gold.ravel(), predicted.ravel(), confidence)
    elif p.ndim > gold.ndim:
        confidence = p.max(axis=-1)
    elif (
        results.class_count > 2 and not results.has_sets
    ):  # words have a score of the predicted label only
        gold, predicted, confidence = _decided(gold, predicted, p)
    else:
        confidence = np.where(predicted == 1, p, 1 - p)
    bins = confidence_bins(confidence).ravel()
    surplus = (
        (gold == predicted) - confidence
    ).ravel()  # its sum over a bin B is |B| (accuracy - confidence)
    return 100.0 * float(np.abs(np.bincount(bins, surplus)).sum() / len(bins))


def _decided(
    gold: np.ndarray, predicted: np.ndarray, confidence: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Leave out decisions of probability 0: words beyond the maximum length."""
    decided = confidence > 0
    if not decided.any():
        raise Undefined("no word within the maximum length")
    return gold[decided], predicted[decided], confidence[decided]


def _likelihoods(results: Results) -> np.ndarray:
    """Return the sum of negative log-likelihoods and the number of tokens of each example, (N, 2)."""
    return np.asarray(results.scores, dtype=float).reshape(-1, 2)


def _perplexity_of(sums: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return np.exp(sums[..., 0] / sums[..., 1])


@metric(
    needs=("scores",),
    fits=(Outcome.TOKENS,),
    greater_is_better=False,
    undefined=math.inf,
    statistics=Statistics(_likelihoods, _perplexity_of),
)
def perplexity(results: Results) -> float:
    """Perplexity: exp of the mean negative log-likelihood over all predicted tokens.

    An entry of ``scores`` is a pair: the sum of the example's negative log-likelihoods in nats, and
    the number of its tokens. Gold and predictions are not used.
    """
    assert results.scores is not None
    nats, tokens = _likelihoods(results).sum(axis=0)
    if not tokens:
        raise Undefined("no predicted tokens")
    if not math.isfinite(nats):
        raise Undefined("likelihoods that are not finite")
    with np.errstate(over="ignore"):
        return float(np.exp(nats / tokens))

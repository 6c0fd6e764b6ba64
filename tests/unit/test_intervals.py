"""Intervals from summed statistics: equal to scores that are computed anew on every resample."""

from __future__ import annotations

import warnings
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from data_utils.metrics.base import Results
from data_utils.registries import METRICS
from mt_dnn.inference.details import intervals
from mt_dnn.inference.details.intervals import (
    difference,
    draws,
    resampled_scores,
    score_intervals,
    with_interval,
)
from tests.support.documents import ROOT, blocks

RNG = np.random.default_rng(5)
N = 40


def noisy(gold: list, wrong: list, share: float = 0.6) -> list:
    return [g if RNG.random() < share else w for g, w in zip(gold, wrong, strict=True)]


def classes(count: int) -> tuple[list, list]:
    gold, wrong = (RNG.integers(0, count, N).tolist() for _ in range(2))
    return gold, noisy(gold, wrong)


def words(count: int) -> tuple[list, list]:
    lengths = RNG.integers(1, 7, N)
    gold, wrong = ([RNG.integers(0, count, n).tolist() for n in lengths] for _ in range(2))
    return gold, noisy(gold, wrong)


def sets(count: int) -> tuple[list, list]:
    gold, wrong = (
        [set(np.flatnonzero(RNG.random(count) < 0.4).tolist()) for _ in range(N)] for _ in range(2)
    )
    return gold, noisy(gold, wrong)


def texts(empty: bool) -> tuple[list, list]:
    choices = ["a big dog", "dog", "big cat", "天气 很好", "很好"]
    gold = [list(RNG.choice(choices, 1 + i % 2)) for i in range(N)]
    if empty:
        gold[:20] = [[]] * 20
    wrong = RNG.choice([*choices, ""], N).tolist()
    return gold, noisy([(g or [""])[0] for g in gold], wrong)


def numbers() -> tuple[list, list]:
    gold = RNG.normal(1000.0, 2.0, N)  # far from 0: sums of squares would lose digits
    return gold.tolist(), (gold + RNG.normal(0, 1, N)).tolist()


NER = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
QUESTIONS = [f"{i // 4}-{i // 2}-{i}" for i in range(N)]
LIKELIHOODS = [
    (float(x), int(n)) for x, n in zip(RNG.random(N) * 9, RNG.integers(0, 5, N), strict=True)
]
PAIRS = [f"{i // 2}-{i}" for i in range(N)]
LISTS = words(2)
SCORES = [RNG.random(len(one)).tolist() for one in LISTS[0]]
CASES = {
    "ACC of classes": ("ACC", *classes(3), {}),
    "ACC of words": ("ACC", *words(3), {}),
    "ACC of sets": ("ACC", *sets(3), {"labels": ("a", "b", "c")}),
    "F1 of classes": ("F1", *classes(2), {}),
    "F1 of candidates": ("F1", *words(2), {}),
    "F1 of sets": ("F1", *sets(3), {"labels": ("a", "b", "c")}),
    "F1MAC of classes": ("F1MAC", *classes(12), {}),  # some do not occur in a resample
    "F1MAC of words": ("F1MAC", *words(4), {}),
    "F1MAC of sets": ("F1MAC", *sets(3), {"labels": ("a", "b", "c", "never")}),
    "F1MIC of classes": ("F1MIC", *classes(3), {}),
    "F1MIC of sets": ("F1MIC", *sets(3), {"labels": ("a", "b", "c")}),
    "MCC of two classes": ("MCC", *classes(2), {}),
    "MCC of words": ("MCC", *words(4), {}),
    "Pearson": ("Pearson", *numbers(), {}),
    "SeqEval": ("SeqEval", *words(5), {"labels": NER}),
    "SeqEvalP": ("SeqEvalP", *words(5), {"labels": NER}),
    "SeqEvalR": ("SeqEvalR", *words(5), {"labels": NER}),
    "SeqEvalList": ("SeqEvalList", *words(5), {"labels": NER}),
    "EM": ("EM", *texts(False), {}),
    "EM, some without answer": ("EM", *texts(True), {}),
    "AnswerF1": ("AnswerF1", *texts(False), {}),
    "AnswerF1, some without answer": ("AnswerF1", *texts(True), {}),
    "CMRCEM": ("CMRCEM", *texts(False), {}),
    "CMRCF1": ("CMRCF1", *texts(False), {}),
    "Perplexity": ("Perplexity", [0] * N, [0] * N, {"scores": LIKELIHOODS}),
    "MultiRCF1a": ("MultiRCF1a", *classes(2), {"uids": QUESTIONS}),
    "MultiRCEM": ("MultiRCEM", *classes(2), {"uids": QUESTIONS}),
    "GenderParity": ("GenderParity", *classes(2), {"uids": PAIRS}),
    "Top1": ("Top1", *LISTS, {}),  # some lists have no right candidate
    "MRR": ("MRR", *LISTS, {"scores": SCORES}),
}


def by_hand(metric, results: Results, resamples: int, groups: list | None = None) -> list[float]:
    """The metric itself on the examples of each resample."""
    rows = [[i] for i in range(len(results.gold))]
    if groups is not None:
        rows = [[i for i, g in enumerate(groups) if g == own] for own in dict.fromkeys(groups)]
    scores = []
    for drawn in islice((row for chunk in draws(len(rows)) for row in chunk), resamples):
        # A question that is drawn twice is two questions.
        places = [(turn, i) for turn, unit in enumerate(drawn) for i in rows[unit]]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scores.append(
                metric(
                    [results.gold[i] for _, i in places],
                    [results.predicted[i] for _, i in places],
                    None if results.scores is None else [results.scores[i] for _, i in places],
                    labels=results.labels,
                    uids=[f"{turn}-{results.uids[i]}" for turn, i in places]
                    if results.uids
                    else (),
                )
            )
    return scores


@pytest.mark.parametrize("case", CASES)
def test_sums_give_the_score_of_every_resample(case):
    name, gold, predicted, given = CASES[case]
    metric, results = METRICS.get(name), Results(gold, predicted, **given)
    groups = [uid.split("-")[0] for uid in given["uids"]] if "uids" in given else None
    expected = by_hand(metric, results, 50, groups)
    scores = resampled_scores(metric, results)
    assert scores is not None
    assert len(scores) == intervals.RESAMPLES
    np.testing.assert_allclose(scores[:50], expected, rtol=0, atol=1e-12 * max(np.abs(expected)))
    assert len(set(np.round(expected, 6))) > 5
    sums = np.asarray(metric.statistics.of(results).sum(axis=0))
    whole = metric(gold, predicted, **given)
    assert metric.statistics.score(sums) == pytest.approx(whole, rel=1e-12)


def test_every_built_in_case_is_here():
    declared = {name for name in METRICS.names() if METRICS.get(name).statistics is not None}
    assert declared == {case[0] for case in CASES.values()} | {"ReCoRDEM", "ReCoRDF1"}


def test_a_metric_of_ones_own_is_resampled(registries):
    """As docs/details.md registers it."""
    block = next(block for block in blocks(ROOT / "docs" / "details.md", "python"))
    exec(block, {})
    gold, predicted = numbers()
    metric, results = METRICS.get("RMSE"), Results(gold, predicted)
    scores = resampled_scores(metric, results)
    assert scores is not None
    np.testing.assert_allclose(scores[:50], by_hand(metric, results, 50), rtol=1e-12)
    assert metric(gold, predicted) == pytest.approx(np.std(np.subtract(gold, predicted)), rel=0.2)


def test_groups_are_drawn_as_a_whole():
    gold, predicted = classes(2)
    groups = [i // 7 for i in range(N)]
    metric, results = METRICS.get("ACC"), Results(gold, predicted)
    scores = resampled_scores(metric, results, groups)
    assert scores is not None
    np.testing.assert_allclose(scores[:50], by_hand(metric, results, 50, groups), atol=1e-11)
    same = [0] * N  # one independent example
    assert resampled_scores(metric, results, same) is None


def test_the_interval_of_accuracy_is_about_that_of_the_binomial():
    right = [1] * 320 + [0] * 80
    found = score_intervals({"ACC": METRICS.get("ACC")}, Results([1] * 400, right))
    low, high = found["ACC"]
    assert low == pytest.approx(80 - 1.96 * 2.0, abs=0.5)
    assert high == pytest.approx(80 + 1.96 * 2.0, abs=0.5)
    assert found == score_intervals({"ACC": METRICS.get("ACC")}, Results([1] * 400, right))


def test_metrics_without_statistics_or_score_have_no_interval():
    gold, predicted = classes(2)
    results = Results(gold, predicted, scores=[0.5] * N)
    metrics = {name: METRICS.get(name) for name in ("AUC", "ACC", "MCC", "Spearman")}
    assert set(score_intervals(metrics, results)) == {"ACC", "MCC"}
    assert not score_intervals({"MCC": METRICS.get("MCC")}, Results(gold, [0] * N))
    assert not score_intervals({"Pearson": METRICS.get("Pearson")}, Results([1.0] * 9, [2.0] * 9))
    assert not score_intervals(metrics, Results([], []))


def test_a_resample_where_the_score_is_undefined_counts_with_its_value():
    gold, predicted = [1, *[0] * 5], [1, *[0] * 5]
    scores = resampled_scores(METRICS.get("MCC"), Results(gold, predicted))
    assert scores is not None
    assert set(scores) == {0.0, 100.0}


def test_small_chunks_draw_the_same(monkeypatch):
    whole = np.concatenate(list(draws(30)))
    monkeypatch.setattr(intervals, "CHUNK", 100)
    np.testing.assert_array_equal(whole, np.concatenate(list(draws(30))))


def test_the_difference_is_paired():
    gold, one = classes(2)
    metric = METRICS.get("ACC")
    a = Results(gold, one)
    assert difference(metric, a, a) == (0.0, 0.0)
    better = list(one)
    wrong = [i for i in range(N) if one[i] != gold[i]][:2]
    for i in wrong:
        better[i] = gold[i]
    low, high = difference(metric, a, replace(a, predicted=better))
    assert 0 <= low < 5 < high  # 2 of 40
    own = score_intervals({"ACC": metric}, a)["ACC"]
    assert high - low < own[1] - own[0]  # two independent samples differ by more
    assert difference(METRICS.get("AUC"), a, a) is None


def test_a_score_is_shown_with_its_interval():
    assert with_interval(89.18, (87.06, 91.02)) == "89.2 [87.1, 91.0]"
    assert with_interval(89.18, None) == "89.18"

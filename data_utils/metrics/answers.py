"""Metrics of answer texts: exact match and F1, as the official scripts of the data sets compute them.

A prediction is a text and gold is the list of accepted texts; the best match counts. EM and AnswerF1
are those of SQuAD's scripts for all languages: v1.1 (arXiv 1606.05250), which is also ReCoRD's (arXiv
1810.12885), or v2.0 (arXiv 1806.03822). Chinese text has no spaces between its words; CMRCEM and CMRCF1
are those of CMRC 2018 (arXiv 1810.07366).

The two scripts of SQuAD differ for texts that are empty after normalisation, such as "the". v1.1
compares them like others for EM, and gives two empty texts an F1 of 0. v2.0 drops accepted texts of this
kind, and gives two empty texts an F1 of 1, because "no answer" was predicted correctly. The script of
v2.0 applies to data sets in which a question has no answer, v1.1 to all others.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable
from difflib import SequenceMatcher

from data_utils.errors import UserError
from data_utils.metrics.base import Results, Undefined, metric
from data_utils.metrics.outcome import Outcome
from data_utils.metrics.statistics import mean_of

ARTICLE = re.compile(r"\b(a|an|the)\b")
ASCII_PUNCTUATION = str.maketrans("", "", string.punctuation)
CMRC_PUNCTUATION = str.maketrans("", "", "-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
"""Characters that the script of CMRC removes. It keeps other ASCII punctuation."""
HAN, MARK = "\u4e00-\u9fa5", re.escape(string.punctuation)
CMRC_SEGMENT = re.compile(rf"[{HAN}]|[{MARK}]|[^\s{HAN}{MARK}]+")

Score = Callable[[str, list[str]], float]
"""(prediction, accepted texts) -> score between 0 and 1."""


def answer_tokens(text: str) -> list[str]:
    """Split a text into normalised words: lower case, no ASCII punctuation, no English articles."""
    return ARTICLE.sub(" ", text.lower().translate(ASCII_PUNCTUATION)).split()


def exact_matches(results: Results) -> list[float]:
    """Return for each question 1 if its answer equals an accepted one, else 0."""
    return _scores(results, _squad(lambda answer, gold: float(answer == gold), results))


def _answer_f1s(results: Results) -> list[float]:
    empty = 1.0 if _has_questions_without_answer(results) else 0.0
    return _scores(results, _squad(lambda answer, gold: token_f1(answer, gold, empty), results))


def _cmrc_matches(results: Results) -> list[float]:
    def bare(text: str) -> str:
        return text.lower().strip().translate(CMRC_PUNCTUATION)

    return _scores(results, lambda answer, gold: float(bare(answer) in map(bare, gold)))


def _cmrc_f1s(results: Results) -> list[float]:
    def score(answer: str, gold: list[str]) -> float:
        return max(_run_f1(cmrc_segments(answer), cmrc_segments(text)) for text in gold)

    return _scores(results, score)


@metric(fits=(Outcome.TEXT,), statistics=mean_of(exact_matches))
def exact_match(results: Results) -> float:
    """Share of questions whose answer equals an accepted one after SQuAD's normalisation."""
    return _mean(exact_matches(results))


@metric(fits=(Outcome.TEXT,), statistics=mean_of(_answer_f1s))
def answer_f1(results: Results) -> float:
    """Word F1 of each answer, averaged over questions. Repeated words count repeatedly.

    MT-DNN's EmF1 (SQuAD v1.1) and EmF12 (v2.0) printed this F1 together with EM. Here these names are
    aliases of this metric, and EM is a metric of its own.
    """
    return _mean(_answer_f1s(results))


@metric(fits=(Outcome.TEXT,), statistics=mean_of(_cmrc_matches))
def cmrc_exact_match(results: Results) -> float:
    """Share of questions whose answer equals an accepted one without punctuation, in lower case."""
    return _mean(_cmrc_matches(results))


@metric(fits=(Outcome.TEXT,), statistics=mean_of(_cmrc_f1s))
def cmrc_f1(results: Results) -> float:
    """F1 of the longest common run of Chinese characters and of words, averaged over questions.

    CMRC's script splits text between Chinese characters with NLTK, whose models are a download. Here
    it is split at white space and at ASCII punctuation, so decimal numbers and contractions differ.
    """
    return _mean(_cmrc_f1s(results))


def token_f1(answer: list[str], gold: list[str], empty: float = 1.0) -> float:
    """Compute F1 = 2 |common| / (|answer| + |gold|), as multisets of words; ``empty`` if both are empty."""
    if not answer and not gold:
        return empty
    return 2 * (Counter(answer) & Counter(gold)).total() / (len(answer) + len(gold))


def cmrc_segments(text: str) -> list[str]:
    """Split a text into Chinese characters and the words between them, without punctuation."""
    return CMRC_SEGMENT.findall(text.lower().strip().translate(CMRC_PUNCTUATION))


def _run_f1(answer: list[str], gold: list[str]) -> float:
    """Compute F1 of the longest common run of two lists."""
    matcher = SequenceMatcher(None, answer, gold, autojunk=False)
    return 2 * matcher.find_longest_match().size / max(len(answer) + len(gold), 1)


def _has_questions_without_answer(results: Results) -> bool:
    """Whether the data set is of the kind of SQuAD v2.0."""
    return not all(any(_texts(gold)) for gold in results.gold)


def _squad(score: Callable[[list[str], list[str]], float], results: Results) -> Score:
    """Return the best score over the accepted texts by the script that fits the data set."""
    drops_empty = _has_questions_without_answer(results)

    def best(answer: str, gold: list[str]) -> float:
        accepted = [answer_tokens(text) for text in gold]
        if drops_empty:
            accepted = [tokens for tokens in accepted if tokens] or [[]]
        tokens = answer_tokens(answer)
        return max(score(tokens, right) for right in accepted)

    return best


def _texts(gold: str | list[str]) -> list[str]:
    """Return the accepted texts of a question; raise UserError if they are not texts."""
    if not isinstance(gold, (str, list, tuple)):
        raise UserError(f"it compares texts, not {gold!r}")
    return [gold] if isinstance(gold, str) else list(gold)


def _scores(results: Results, score: Score) -> list[float]:
    """Return the score of each question."""
    found = []
    for predicted, gold in zip(results.predicted, results.gold, strict=True):
        if not isinstance(predicted, str):
            raise UserError(f"it compares texts, not {predicted!r}")
        found.append(score(predicted, _texts(gold) or [""]))
    return found


def _mean(scores: list[float]) -> float:
    """Average the scores of all questions, in percent."""
    if not scores:
        raise Undefined("no examples")
    total = 0.0
    for score in scores:  # sum() rounds differently from Python 3.12 on
        total += score
    return 100.0 * total / len(scores)

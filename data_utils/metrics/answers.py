"""Scores of answers in words: exact match and F1 of words, with SQuAD's normalisation.

Predicted is a text, gold the list of texts that are right; the best of them counts. No text, or
none that has words, means that the question has no answer, and the predicted answer "" is right.
So one pair of scores serves SQuAD v1 (arXiv 1606.05250), v2 (1806.03822) and ReCoRD (1810.12885).
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable

from data_utils.errors import UserError
from data_utils.metrics.base import Results, Undefined, metric

UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
"""Kana and Han: scripts that put no space between words."""
ARTICLE = re.compile(r"\b(a|an|the)\b")
TOKEN = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]+")


def answer_tokens(text: str) -> list[str]:
    """The words that are compared: lower case, without punctuation and English articles.

    Chinese and Japanese count by character, as in CMRC 2018 (arXiv 1810.07366), and lose their
    own punctuation too; elsewhere only ASCII's goes, as in SQuAD's script.
    """
    unspaced = re.search(f"[{UNSPACED}]", text) is not None
    kept = [
        c
        for c in text.lower()
        if c not in string.punctuation and not (unspaced and unicodedata.category(c)[0] == "P")
    ]
    return TOKEN.findall(ARTICLE.sub(" ", "".join(kept)))


@metric("ReCoRDEM")
@metric("EM")
def exact_match(results: Results) -> float:
    """Share of the questions whose answer is a right one, after normalisation."""
    return _mean_of_best(results, lambda answer, gold: float(answer == gold))


@metric("ReCoRDF1")
@metric("AnswerF1", "EmF1", "EmF12")
def answer_f1(results: Results) -> float:
    """Mean over questions of the F1 of the answer's words, counted as often as they occur.

    MT-DNN's EmF1 (SQuAD v1) and EmF12 (v2) printed this beside EM; here each is a number.
    """
    return _mean_of_best(results, token_f1)


def token_f1(answer: list[str], gold: list[str]) -> float:
    """2 common / (tokens of both), which is the harmonic mean of precision and recall.

    1 where both are empty: no answer, rightly.
    """
    if not answer and not gold:
        return 1.0
    return 2 * (Counter(answer) & Counter(gold)).total() / (len(answer) + len(gold))


def _mean_of_best(results: Results, score: Callable[[list[str], list[str]], float]) -> float:
    if not len(results.gold):
        raise Undefined("no examples")
    total = 0.0
    for predicted, gold in zip(results.predicted, results.gold, strict=True):
        if not isinstance(predicted, str):
            raise UserError(f"it compares texts, not {predicted!r}")
        texts = [gold] if isinstance(gold, str) else gold
        right = [tokens for tokens in map(answer_tokens, texts) if tokens] or [[]]
        answer = answer_tokens(predicted)
        total += max(score(answer, tokens) for tokens in right)
    return 100.0 * total / len(results.gold)

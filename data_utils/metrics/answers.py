"""Metrics of answer texts: exact match and word F1, with SQuAD's normalisation.

A prediction is a text and gold is the list of accepted texts; the best match counts. If no accepted
text has words, the question has no answer and the prediction "" is right. The same two metrics serve
SQuAD v1 (arXiv 1606.05250), SQuAD v2 (arXiv 1806.03822) and ReCoRD (arXiv 1810.12885).
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable

from data_utils.errors import UserError
from data_utils.metrics.base import Results, Undefined

UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
"""Kana and Han, scripts without spaces between words."""
ARTICLE = re.compile(r"\b(a|an|the)\b")
TOKEN = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]+")


def answer_tokens(text: str) -> list[str]:
    """Split a text into normalised words: lower case, no punctuation, no English articles.

    Chinese and Japanese texts are split into characters, as in CMRC 2018 (arXiv 1810.07366), and all
    Unicode punctuation is removed. In other texts only ASCII punctuation is removed, as in SQuAD's
    script.
    """
    unspaced = re.search(f"[{UNSPACED}]", text) is not None
    kept = [
        c
        for c in text.lower()
        if c not in string.punctuation and not (unspaced and unicodedata.category(c)[0] == "P")
    ]
    return TOKEN.findall(ARTICLE.sub(" ", "".join(kept)))


def exact_match(results: Results) -> float:
    """Share of questions whose answer equals an accepted one after normalisation."""
    return _mean_of_best(results, lambda answer, gold: float(answer == gold))


def answer_f1(results: Results) -> float:
    """Word F1 of each answer, averaged over questions. Repeated words count repeatedly.

    MT-DNN's EmF1 (SQuAD v1) and EmF12 (v2) printed this F1 together with EM. Here these names are
    aliases of this metric, and EM is a metric of its own.
    """
    return _mean_of_best(results, token_f1)


def token_f1(answer: list[str], gold: list[str]) -> float:
    """Compute F1 = 2 |common| / (|answer| + |gold|), as multisets of words.

    It is 1 if both are empty, which means that "no answer" was predicted correctly.
    """
    if not answer and not gold:
        return 1.0
    return 2 * (Counter(answer) & Counter(gold)).total() / (len(answer) + len(gold))


def _mean_of_best(results: Results, score: Callable[[list[str], list[str]], float]) -> float:
    """Average the best score of each prediction over its accepted texts, in percent."""
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

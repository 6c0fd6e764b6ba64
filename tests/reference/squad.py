"""Exact match and F1 of answers, as the official scripts compute them.

* SQuAD v1.1: evaluate-v1.1.py (arXiv 1606.05250). ReCoRD's script (arXiv 1810.12885) is the same.
* SQuAD v2.0: evaluate-v2.0.py (arXiv 1806.03822).
* Chinese: cmrc2018_evaluate.py of CMRC 2018 (arXiv 1810.07366).

The first two never split a text between Chinese or Japanese characters.
"""

from __future__ import annotations

import re
import string

# evaluate-v1.1.py and evaluate-v2.0.py


def normalize(text: str) -> str:
    """Lower case, no ASCII punctuation, no articles, single blanks, in this order."""
    text = text.lower()
    text = "".join(c for c in text if c not in set(string.punctuation))
    text = re.sub(r"\b(a|an|the)\b", " ", text)
    return " ".join(text.split())


def common_words(one: list[str], other: list[str]) -> int:
    """Number of words that both have; a repeated word counts repeatedly."""
    left = list(other)
    count = 0
    for word in one:
        if word in left:
            left.remove(word)
            count += 1
    return count


def f1_of(precision: float, recall: float) -> float:
    """The harmonic mean."""
    return 2 * precision * recall / (precision + recall)


def em_v1(predicted: str, gold: list[str]) -> float:
    """The best over all accepted answers, whether or not one has words."""
    return max(float(normalize(predicted) == normalize(answer)) for answer in gold)


def f1_v1(predicted: str, gold: list[str]) -> float:
    """The best over all accepted answers; 0 where there is no common word, also of two empty texts."""
    scores = []
    for answer in gold:
        p, g = normalize(predicted).split(), normalize(answer).split()
        same = common_words(p, g)
        scores.append(f1_of(same / len(p), same / len(g)) if same else 0.0)
    return max(scores)


def gold_v2(gold: list[str]) -> list[str]:
    """The accepted answers that have words; the empty text if there is none."""
    return [answer for answer in gold if normalize(answer)] or [""]


def em_v2(predicted: str, gold: list[str]) -> float:
    """The best over the accepted answers that have words."""
    return max(float(normalize(predicted) == normalize(answer)) for answer in gold_v2(gold))


def f1_v2(predicted: str, gold: list[str]) -> float:
    """The best over the accepted answers that have words; 1 for two empty texts."""
    scores = []
    for answer in gold_v2(gold):
        p, g = normalize(predicted).split(), normalize(answer).split()
        if not p or not g:
            scores.append(float(p == g))
            continue
        same = common_words(p, g)
        scores.append(f1_of(same / len(p), same / len(g)) if same else 0.0)
    return max(scores)


# cmrc2018_evaluate.py

CMRC_PUNCTUATION = "-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』"
"""Characters that the script removes. Its list also has an ellipsis of two characters, which no single
character equals, so the script keeps ellipses."""


def cmrc_segments(text: str) -> list[str]:
    """Chinese characters, and the words between them.

    The script splits what lies between Chinese characters by nltk.word_tokenize. Here words are split
    at white space, and each ASCII mark that the script keeps is a word; the results differ for
    contractions, abbreviations and decimal numbers.
    """
    segments: list[str] = []
    word = ""
    for char in text.lower().strip():
        if char in CMRC_PUNCTUATION:
            continue
        alone = "\u4e00" <= char <= "\u9fa5" or char in string.punctuation
        if alone or char.isspace():
            segments += [word] if word else []
            segments += [char] if alone else []
            word = ""
        else:
            word += char
    return segments + ([word] if word else [])


def longest_common_run(one: list[str], other: list[str]) -> int:
    """Length of the longest run of segments that both have (the script's find_lcs)."""
    best = 0
    for i in range(len(one)):
        for j in range(len(other)):
            length = 0
            while (
                i + length < len(one)
                and j + length < len(other)
                and one[i + length] == other[j + length]
            ):
                length += 1
            best = max(best, length)
    return best


def em_cmrc(predicted: str, gold: list[str]) -> float:
    """Equality of the texts without punctuation, in lower case."""

    def bare(text: str) -> str:
        return "".join(c for c in text.lower().strip() if c not in CMRC_PUNCTUATION)

    return max(float(bare(predicted) == bare(answer)) for answer in gold)


def f1_cmrc(predicted: str, gold: list[str]) -> float:
    """F1 of the longest common run of segments."""
    scores = []
    for answer in gold:
        p, g = cmrc_segments(predicted), cmrc_segments(answer)
        same = longest_common_run(p, g)
        scores.append(f1_of(same / len(p), same / len(g)) if same else 0.0)
    return max(scores)

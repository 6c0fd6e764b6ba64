"""Entities as the CoNLL-2000 script conlleval reads them, and their F1.

Source: Tjong Kim Sang and Buchholz 2000, and the script's endOfChunk and startOfChunk. The script knows
the tags B, I, O and E. Here S (one word), L (last) and U (one word) are read as BIOES and BILOU define
them. The script is lenient: an I that continues nothing begins an entity. It reads IOB1 and IOB2 alike,
and IOE1 and IOE2.
"""

from __future__ import annotations

Entity = tuple[str, int, int]
"""Type, first word, last word."""


def split_tag(label: str, scheme: str) -> tuple[str, str]:
    """Split a label into its tag and its type: B-PER -> B, PER."""
    if label == "O":
        return "O", ""
    if scheme == "none":
        return "I", label
    tag, _, kind = label.partition("-")
    return {"L": "E", "U": "S"}.get(tag, tag), kind


def end_of_chunk(before: str, tag: str, kind_before: str, kind: str) -> bool:
    """Whether an entity ends between two words."""
    if before in ("B", "I") and tag in ("B", "S", "O"):
        return True
    if before in ("E", "S"):
        return True
    return before != "O" and kind_before != kind


def start_of_chunk(before: str, tag: str, kind_before: str, kind: str) -> bool:
    """Whether an entity starts at the second of two words."""
    if tag in ("B", "S"):
        return True
    if before in ("E", "S", "O") and tag in ("I", "E"):
        return True
    return tag != "O" and kind_before != kind


def entities(labels: list[str], scheme: str) -> set[Entity]:
    """The entities of one sentence.

    Args:
        labels: one label for each word.
        scheme: IOB1, IOB2, IOE1, IOE2, BIOES, BILOU, or none, where a label is a type.
    """
    found = set()
    first = 0
    before, kind_before = "O", ""
    for place, label in enumerate([*labels, "O"]):
        tag, kind = split_tag(label, scheme)
        if before != "O" and end_of_chunk(before, tag, kind_before, kind):
            found.add((kind_before, first, place - 1))
        if start_of_chunk(before, tag, kind_before, kind):
            first = place
        before, kind_before = tag, kind
    return found


def f1(gold: list[list[str]], predicted: list[list[str]], scheme: str) -> float:
    """F1 of all entities of all sentences, in percent."""
    right = in_gold = in_predicted = 0
    for truth, guess in zip(gold, predicted, strict=True):
        one, other = entities(truth, scheme), entities(guess, scheme)
        right += len(one & other)
        in_gold += len(one)
        in_predicted += len(other)
    precision = right / in_predicted if in_predicted else 0.0
    recall = right / in_gold if in_gold else 0.0
    return 100 * 2 * precision * recall / (precision + recall) if right else 0.0

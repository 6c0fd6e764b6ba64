"""CLUEWSC's spans, given as character offsets, marked in the text."""

from __future__ import annotations

from data_utils.errors import UserError
from experiments.clue.records import Record, Records
from experiments.suite import Skipped

MARKS = {"span1": ("_", "_"), "span2": ("[", "]")}
"""The noun between underscores and the pronoun in brackets, as CLUE's own baseline marks them."""


def mark_records(records: Records, name: str, skipped: Skipped) -> Records:
    """Records whose ``text`` has both spans of ``target`` marked.

    A span that does not stand at its index is looked for: where it occurs once in the text, that is
    it, and it counts as moved; else the record is skipped. After the last one, prints the count.
    """
    moved = 0
    for where, record in records:
        text, spans = str(record.get("text", "")), []
        for span, marks in MARKS.items():
            words, index = _target(record, span, where)
            start = _find(text, words, index)
            if start is None:
                skipped.append(
                    f"{where}: {span} {words!r} is neither at {index} nor once elsewhere"
                )
                break
            moved += start != index
            spans.append((start, start + len(words), marks))
        else:
            (_, end, _), (start, _, _) = sorted(spans)
            if end > start:
                skipped.append(f"{where}: the spans overlap")
                continue
            yield where, record | {"text": _mark(text, spans)}
    if moved:
        print(f"{name}: {moved} spans stood elsewhere than their index says, and were found there")


def _target(record: Record, span: str, where: str) -> tuple[str, int]:
    target = record.get("target")
    try:
        return target[f"{span}_text"], int(target[f"{span}_index"])  # type: ignore[index]
    except (KeyError, TypeError, ValueError):
        raise UserError(
            f"{where}: expected target: {{{span}_text: ..., {span}_index: integer, ...}}, "
            f"found {target!r}"
        ) from None


def _find(text: str, words: str, index: int) -> int | None:
    if words and index >= 0 and text.startswith(words, index):
        return index
    return text.index(words) if words and text.count(words) == 1 else None


def _mark(text: str, spans: list[tuple[int, int, tuple[str, str]]]) -> str:
    for start, end, (opening, closing) in sorted(spans, reverse=True):  # offsets before stay right
        text = f"{text[:start]}{opening}{text[start:end]}{closing}{text[end:]}"
    return text

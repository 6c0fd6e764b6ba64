"""Mark the spans of CLUEWSC, which are given as character offsets, in the text."""

from __future__ import annotations

from data_utils.errors import UserError
from experiments.clue.records import Record, Records
from experiments.suite import Skipped

MARKS = {"span1": ("_", "_"), "span2": ("[", "]")}
"""The noun is put between underscores and the pronoun in brackets, as in CLUE's baseline."""


def mark_records(records: Records, name: str, skipped: Skipped) -> Records:
    """Mark both spans of ``target`` in the ``text`` of every record.

    If a span is not at its index but occurs exactly once in the text, that occurrence is marked and
    counted as moved. Otherwise the record is skipped. The count is printed after the last record.
    """
    moved = 0
    for where, record in records:
        text, spans = str(record.get("text", "")), []
        for span, marks in MARKS.items():
            words, index = _target(record, span, where)
            start = _find(text, words, index)
            if start is None:
                skipped.append(
                    f"{where}: {span} {words!r} is not at {index} and does not occur exactly once"
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
        print(
            f"{name}: {moved} spans were not at their index, and were found elsewhere in the text"
        )


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
    for start, end, (opening, closing) in sorted(
        spans, reverse=True
    ):  # from the end, so that earlier offsets stay valid
        text = f"{text[:start]}{opening}{text[start:end]}{closing}{text[end:]}"
    return text

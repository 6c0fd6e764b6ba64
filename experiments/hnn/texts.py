"""Convert WNLI's pairs and the texts of WSCR, WSC and PDP to rows with candidates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from data_utils.errors import UserError
from data_utils.formats import Row
from experiments.glue.wnli import mark_spans
from experiments.suite import Cells, Skipped, Splits

NO_SPACE = tuple(".,;:!?'’")
"""What follows a word without a space."""
RIGHT, WRONG = "1", "0"


@dataclass
class Group:
    """The pairs of WNLI with the same text and pronoun."""

    uid: str = ""
    is_dev: bool = False
    labels: dict[str, str] = field(default_factory=dict)
    """Candidate in lower case -> label."""
    spelling: dict[str, str] = field(default_factory=dict)

    def add(self, uid: str, label: str, candidate: str, *, is_dev: bool) -> None:
        if is_dev > self.is_dev or not self.uid:
            self.uid, self.is_dev = uid, is_dev
        key = candidate.lower()
        self.labels.setdefault(key, label)
        self.spelling.setdefault(key, candidate)

    def row(self, text: str) -> Cells:
        """Return the row; candidates are in alphabetical order."""
        keys = sorted(self.labels)
        label = ",".join(self.labels[key] for key in keys if self.labels[key])
        return self.uid, "", "", label, text, *(self.spelling[key] for key in keys)


def group_pairs(splits: dict[str, Iterable[Cells]]) -> Splits:
    """Make one row of all pairs of WNLI that have the same text and pronoun.

    A text with a dev pair is a dev row, with the candidates of its train pairs too, and no train row:
    else a train label would disclose the dev label. Texts with one candidate, and labelled texts
    without exactly one right candidate, are left out. The counts are printed.

    Args:
        splits: split -> pairs (uid, label, sentence1, sentence2); the label is empty in test.

    Returns:
        Split -> rows of PronounChoice.
    """
    groups: dict[bool, dict[str, Group]] = {False: {}, True: {}}  # by whether they are of test
    counts: Counter[str] = Counter()
    for split, pairs in splits.items():
        for uid, label, *sentences in pairs:
            counts["pairs"] += 1
            spans = mark_spans(*sentences)
            if spans is None:
                counts["pairs whose pronoun or candidate is not found"] += 1
                continue
            text, filled = spans
            group = groups[split == "test"].setdefault(text, Group())
            group.add(uid, label, filled.split("_")[1], is_dev=split == "dev")
    rows: dict[str, list[Cells]] = {split: [] for split in splits}
    for is_test, texts in groups.items():
        for text, group in texts.items():
            right = list(group.labels.values()).count(RIGHT)
            if len(group.labels) < 2:
                counts["texts with one candidate"] += 1
            elif right != 1 and not is_test:
                counts["texts without exactly one right candidate"] += 1
            else:
                split = "test" if is_test else "dev" if group.is_dev else "train"
                rows[split].append(group.row(text))
    total = counts.pop("pairs")
    print(
        f"wnli: {total} pairs; left out: " + ", ".join(f"{n} {what}" for what, n in counts.items())
    )
    return {**rows}


def wscr_rows(records: Iterable[Row], skipped: Skipped) -> Iterator[Cells]:
    """Convert texts of WSCR: sentence, place of the pronoun, pronoun, referent and candidates."""
    for row in records:
        text, pronoun = row.text("sentence"), row.text("pronoun")
        start = _number(row, "pronoun_idx")
        if not text.startswith(pronoun, start):
            skipped.append(f"{row.where}: {pronoun!r} is not at {start}")
            continue
        candidates = split_candidates(row)
        referent = row.text("coref").strip().lower()
        right = [RIGHT if c.lower() == referent else WRONG for c in candidates]
        yield from _row(
            row, (text[:start], pronoun, text[start + len(pronoun) :]), candidates, right, skipped
        )


def schema_rows(records: Iterable[Row], skipped: Skipped) -> Iterator[Cells]:
    """Convert texts of WSC and PDP: left, pron and right, candidates, and the position of the right one."""
    for row in records:
        candidates, selected = split_candidates(row), _number(row, "selected")
        right = [RIGHT if i == selected else WRONG for i in range(len(candidates))]
        left, after = row.text("left").strip(), row.text("right").strip()
        parts = (
            f"{left} " if left else "",
            row.text("pron").strip(),
            after if after.startswith(NO_SPACE) else f" {after}",
        )
        yield from _row(row, parts, candidates, right, skipped)


def split_candidates(row: Row) -> list[str]:
    """Return the candidates, which commas separate."""
    return [text.strip() for text in row.text("candidates").split(",") if text.strip()]


def _number(row: Row, column: str) -> int:
    text = row.text(column).strip()
    if not text.isdecimal():
        raise UserError(f"{row.where}: column {column!r} is {text!r}, no whole number")
    return int(text)


def _row(
    row: Row,
    parts: tuple[str, str, str],
    candidates: list[str],
    right: list[str],
    skipped: Skipped,
) -> Iterator[Cells]:
    """Yield the row of a text; note it in ``skipped`` if it is not a choice."""
    before, pronoun, after = parts
    if right.count(RIGHT) != 1 or len(candidates) < 2:
        skipped.append(f"{row.where}: not one right candidate of several: {candidates}")
    elif set("[]") & set("".join(parts)):
        skipped.append(f"{row.where}: the text has brackets, which mark the pronoun")
    else:
        text = " ".join(f"{before}[{pronoun}]{after}".split())
        yield row.text("uid"), "", "", ",".join(right), text, *candidates

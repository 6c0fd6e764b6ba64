"""Tag schemes, which mark entities by the labels of words, and the entities that labels mark.

A label is ``O``, outside of entities, or a tag and a type: ``B-PER``. Ramshaw and Marcus 1995 (cmp-lg/
9505040) have IOB1; Tjong Kim Sang and Veenstra 1999 (cs/9907006) compare IOB1, IOB2, IOE1 and IOE2.

| scheme | tags |
|---|---|
| IOB1 | I in an entity; B where one follows another of its type |
| IOB2 | B begins an entity, I continues it |
| IOE1 | I in an entity; E at its end where another of its type follows |
| IOE2 | E ends an entity, I is before it |
| BIOES | B begins, I continues, E ends; S is an entity of one word |
| BILOU | the same with L in place of E and U in place of S |
| none | labels are types without tags; a maximal run of one type is an entity |

Labels are read leniently, as by the CoNLL-2000 script: a tag that continues nothing begins an entity. So
IOB1 and IOB2 are read alike, and IOE1 and IOE2. The labels X, CLS and SEP of MT-DNN's task files, which
mark sub-words and special tokens, are outside of entities.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from data_utils.errors import UserError
from data_utils.task_def import TaskDef

DETECTED = "auto"
"""Value of the option ``tag_scheme`` for which the labels decide."""
TAGS = {
    "IOB1": "BI",
    "IOB2": "BI",
    "IOE1": "IE",
    "IOE2": "IE",
    "BIOES": "BIES",
    "BILOU": "BILU",
    "none": "",
}
"""Scheme -> its tags besides O."""
OUTSIDE = ("O", "X", "CLS", "SEP")
ALIKE = {"L": "E", "U": "S"}
"""Tags of BILOU -> those of BIOES."""

Entities = set[tuple[str, int, int]]
"""(type, first word, last word) of one sentence."""


def tag_scheme(labels: Iterable[str], named: str = DETECTED) -> str:
    """Return the scheme of a task's labels, and check that it can be read.

    Args:
        labels: the labels of the task.
        named: a key of :data:`TAGS`, or ``auto``.

    Raises:
        UserError: the scheme is unknown, does not fit the labels, or cannot be detected.
    """
    inside = [label for label in labels if label not in OUTSIDE]
    if named == DETECTED:
        return _detected(inside)
    if named not in TAGS:
        raise UserError(f"unknown tag_scheme {named!r}. Choices: {', '.join([DETECTED, *TAGS])}.")
    if wrong := [label for label in inside if named != "none" and not _has_tag(label, TAGS[named])]:
        raise UserError(
            f"tag_scheme {named} has the labels O and "
            f"{', '.join(f'{tag}-TYPE' for tag in TAGS[named])}, and not {', '.join(wrong[:5])}"
        )
    return named


def check_tag_scheme(task: TaskDef) -> None:
    """Check that entities can be read from a task's labels.

    Raises:
        UserError: they cannot; the message begins with the place of the task.
    """
    try:
        tag_scheme(task.labels, task.options.get("tag_scheme", DETECTED))
    except UserError as error:
        raise UserError(f"{task.where}: options: tag_scheme: {error}") from None


def entities(labels: Sequence[str], scheme: str) -> Entities:
    """Return the entities that the labels of a sentence mark.

    Args:
        labels: the label of each word.
        scheme: a key of :data:`TAGS`.
    """
    found: Entities = set()
    first = 0
    before, type_before = "O", ""
    for place, label in enumerate([*labels, "O"]):
        tag, kind = _split(label, scheme)
        continues = (
            tag in ("I", "E") and before in ("B", "I") and kind == type_before
        )  # of what stands before
        if before != "O" and not continues:
            found.add((type_before, first, place - 1))
        if not continues:
            first = place
        before, type_before = tag, kind
    return found


def _split(label: str, scheme: str) -> tuple[str, str]:
    """Return the tag, as one of B, I, O, E and S, and the type of a label."""
    if label in OUTSIDE:
        return "O", ""
    if scheme == "none":
        return "I", label
    tag, _, kind = label.partition("-")
    return ALIKE.get(tag, tag), kind


def _has_tag(label: str, tags: str) -> bool:
    """Whether the label is a tag, or a tag and a type."""
    return label != "" and label[0] in tags and label[1:2] in ("", "-")


def _detected(inside: list[str]) -> str:
    """Return the scheme of labels inside of entities."""
    tagged = [label for label in inside if _has_tag(label, "BIESLU") and "-" in label]
    # Single letters without types are tags if B, which every scheme with single letters has, is one.
    if tagged or "B" in inside:
        for scheme in ("IOB2", "IOE2", "BIOES", "BILOU"):
            if all(_has_tag(label, TAGS[scheme]) for label in inside):
                return scheme
    if not tagged:
        return "none"
    others = [label for label in inside if label not in tagged] or tagged[3:]
    raise UserError(
        f"the labels {', '.join([*tagged[:3], *others[:3]])} fit no tag scheme. Name one of "
        f"{', '.join(TAGS)}; with none, each run of one label is an entity"
    )

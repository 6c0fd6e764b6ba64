"""Records of SuperGLUE as its download has them."""

from __future__ import annotations

PASSAGE = "Ann met Bo in Paris.\nBo left.\n@highlight\nAnn stays in Paris\n@highlight\nBo is gone"


def entity(text: str, *, nth: int = 0) -> dict[str, int]:
    """Where the passage mentions it, as ReCoRD writes it: `end` is the last character's place."""
    start = -1
    for _ in range(nth + 1):
        start = PASSAGE.index(text, start + 1)
    return {"start": start, "end": start + len(text) - 1}


def record(idx: int = 4) -> dict:
    mentions = [entity("Ann"), entity("Bo"), entity("Paris"), entity("Bo", nth=1)]
    answer = entity("Bo", nth=1) | {"text": "Bo"}
    return {
        "source": "Daily mail",
        "passage": {"text": PASSAGE, "entities": mentions},
        "qas": [
            {"query": "@placeholder, or @placeholder?", "answers": [answer], "idx": 9},
            {"query": "Where is @placeholder?", "answers": [answer, answer], "idx": 10},
        ],
        "idx": idx,
    }


def multirc(*, labelled: bool = True) -> dict:
    def answers(*labels: int) -> list[dict]:
        texts = enumerate(zip(("Bo", "Ann and Bo"), labels, strict=True))
        return [{"text": t, "idx": i} | ({"label": y} if labelled else {}) for i, (t, y) in texts]

    questions = [
        {"question": "Who left?", "answers": answers(1, 0), "idx": 0},
        {"question": "Who met?", "answers": answers(0, 1), "idx": 1},
    ]
    return {"idx": 7, "version": 1.1, "passage": {"text": "Bo\tleft.", "questions": questions}}


def wsc(index1: int, span1: str, index2: int, span2: str, **more) -> dict:
    target = {
        "span1_index": index1,
        "span1_text": span1,
        "span2_index": index2,
        "span2_text": span2,
    }
    return {"text": "Mark told  Pete many lies. Pete believed him.", "target": target} | more

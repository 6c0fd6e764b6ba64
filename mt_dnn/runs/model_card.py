"""Model card: the README.md of a model folder."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any


def model_card(
    title: str,
    about: str,
    *,
    use: str,
    scores: dict[str, dict[str, Any]] | None = None,
    test: Collection[str] = (),
) -> str:
    """Markdown with the front matter of the Hugging Face hub.

    Args:
        about: what the model is and where it comes from.
        use: how to load it.
        scores: data set -> metric -> value. Values that are not numbers, such as a confusion matrix, are
            left out.
        test: names of the test sets among them, which get a table of their own.
    """
    scores = scores or {}
    own = {name: metrics for name, metrics in scores.items() if name not in test}
    front = ["---", "library_name: transformers", "tags: [mt-dnn, multi-task]", "---"]
    tables = [*_table(own, "dev"), *_table({n: scores[n] for n in test}, "test")]
    if test:
        tables += ["The model was selected on dev scores; test scores are only reported.", ""]
    return "\n".join([*front, f"# {title}", "", about, "", *tables, use, ""])


def _table(scores: dict[str, dict[str, Any]], role: str) -> list[str]:
    rows = [
        f"{dataset} | {metric} | {value:.2f}"
        for dataset, metrics in scores.items()
        for metric, value in metrics.items()
        if isinstance(value, float)
    ]
    return [f"dataset | metric | {role} score", "--- | --- | ---", *rows, ""] if rows else []

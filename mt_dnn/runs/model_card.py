"""Model card: the README.md of a model folder."""

from __future__ import annotations

from typing import Any


def model_card(
    title: str, about: str, *, use: str, scores: dict[str, dict[str, Any]] | None = None
) -> str:
    """Markdown with the front matter of the Hugging Face hub.

    Args:
        about: what the model is and where it comes from.
        use: how to load it.
        scores: data set -> metric -> value. Values that are not numbers, such as a confusion matrix, are
            left out.
    """
    rows = [
        f"{dataset} | {metric} | {value:.2f}"
        for dataset, metrics in (scores or {}).items()
        for metric, value in metrics.items()
        if isinstance(value, float)
    ]
    table = ["dataset | metric | dev score", "--- | --- | ---", *rows, ""] if rows else []
    front = ["---", "library_name: transformers", "tags: [mt-dnn, multi-task]", "---"]
    return "\n".join([*front, f"# {title}", "", about, "", *table, use, ""])

"""README.md of a folder that is passed on."""

from __future__ import annotations

from typing import Any


def model_card(
    title: str, about: str, *, use: str, scores: dict[str, dict[str, Any]] | None = None
) -> str:
    """Markdown with the hub's front matter.

    Args:
        about: what it is and where it comes from.
        use: how it is loaded.
        scores: data set -> metric -> value; what is no number, such as a confusion matrix, is left out.
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

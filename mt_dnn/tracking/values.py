"""Conversions of what a run logs: numbers, JSON values, settings, pictures, Markdown."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure


def python_value(value: Any) -> Any:
    """Convert arrays, tensors and their scalars to Python numbers and lists."""
    return value.tolist() if hasattr(value, "tolist") else value


def numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """The entries that are single numbers, as floats. NaN and infinity stay as they are."""
    plain = {name: python_value(value) for name, value in values.items()}
    return {name: float(value) for name, value in plain.items() if isinstance(value, int | float)}


def jsonable(value: Any) -> Any:
    """Convert to JSON values. NaN and infinity, which JSON lacks, become None."""
    value = python_value(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): jsonable(entry) for key, entry in value.items()}
    if isinstance(value, Iterable):
        return [jsonable(entry) for entry in value]
    return str(value)


def plain_setting(value: Any) -> bool | int | float | str:
    """Convert to a scalar. NaN and infinity become strings; lists are joined by commas."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, bool | int | float | str):
        return value
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def pixels(figure: Figure) -> np.ndarray:
    """Draw a matplotlib figure without pyplot, which has global state and GUI backends.

    Returns:
        uint8 array (height, width, 3), RGB.
    """
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def markdown_table(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """Format a Markdown table. None gives an empty cell; sequences are joined by commas."""
    columns = list(columns)
    lines = [columns, ["---"] * len(columns), *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escaped(text: str) -> str:
    """Escape the characters that Markdown and HTML would interpret."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]#~])", r"\\\1", text)


def fenced(text: str) -> str:
    """Format YAML as a Markdown code block."""
    return f"```yaml\n{text.rstrip()}\n```"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        value = ", ".join(map(str, value))
    return str(value).replace("|", r"\|").replace("\n", " ")

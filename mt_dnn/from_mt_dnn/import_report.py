"""Report on every key of an imported checkpoint. Does not import torch."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

SHOWN = 12
"""Keys of a kind that are printed."""


@dataclass
class ImportReport:
    """Lists which keys of the checkpoint were used, and which weights are missing."""

    heads: dict[str, str] = field(default_factory=dict)
    """Task -> origin of its head."""
    used: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    """Weights of heads that the checkpoint does not contain. They are not written either."""
    unused: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    """Unused, as expected: buffers that older versions of transformers saved."""
    notes: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Lines for the console: each head, then the counts of keys with the first names."""
        kinds = Counter(re.sub(r"^(scoring_list\.\d+|\w+).*", r"\1.*", key) for key in self.used)
        found = {
            "used": (len(self.used), [f"{kind} {count}" for kind, count in kinds.items()]),
            "missing": (len(self.missing), self.missing),
            "unused": (len(self.unused), self.unused),
            "expected": (len(self.expected), self.expected),
        }
        width = max(map(len, self.heads), default=0)
        return [
            *(f"head {task:<{width}}  {origin}" for task, origin in self.heads.items()),
            *(
                f"{what:<8} {count:>4}  {shortened(names)}"
                for what, (count, names) in found.items()
            ),
            *(f"note: {note}" for note in self.notes),
        ]


def shortened(keys: list[str]) -> str:
    """Join the first :data:`SHOWN` keys by commas, and give the number of the others."""
    more = [f"and {len(keys) - SHOWN} more"] if len(keys) > SHOWN else []
    return ", ".join([*keys[:SHOWN], *more])

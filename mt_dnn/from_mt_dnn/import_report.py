"""What became of every key of an imported checkpoint. No torch here."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class ImportReport:
    """What became of every key."""

    heads: dict[str, str] = field(default_factory=dict)
    """Task -> where its head comes from."""
    used: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    """Weights of heads that the checkpoint lacks. They are not in the folder either."""
    unused: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    """Not used, and missed by nobody: buffers of older transformers."""
    notes: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Every head, counts, and names as far as there is room."""
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


def shortened(keys: list[str], room: int = 12) -> str:
    more = [f"and {len(keys) - room} more"] if len(keys) > room else []
    return ", ".join([*keys[:room], *more])

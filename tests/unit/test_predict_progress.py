"""The number of predicted rows, on a terminal only."""

from __future__ import annotations

import io

from rich.console import Console

from mt_dnn.inference.progress import rows_done


def shown(*, terminal: bool, enabled: bool = True) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=80, force_terminal=terminal, color_system=None)
    with rows_done(enabled=enabled, console=console) as done:
        done(20)
        done(3)
    return stream.getvalue()


def test_rows_are_counted_on_a_terminal_and_a_file_stays_clean():
    assert "23 rows" in shown(terminal=True)
    assert shown(terminal=False) == ""
    assert shown(terminal=True, enabled=False) == ""

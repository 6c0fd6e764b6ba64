"""Call ``mt-dnn new-task`` in the folder of the fixture ``here``."""

from __future__ import annotations

from mt_dnn.new_task.command import main


def new_task(*args: str) -> None:
    """Run the command with the encoder of that folder."""
    main([*args, "--encoder", "encoder"])

"""Mixing strategy: one task after the other, by epoch."""

from data_utils.registries import MIXINGS


@MIXINGS.register("rotation")
def rotation(supply, *, width: int = 1):
    """Train ``width`` tasks in every epoch, in turn."""
    tasks = list(supply.batches)
    chosen = {tasks[(supply.epoch * width + i) % len(tasks)] for i in range(width)}
    return {task: n if task in chosen else 0 for task, n in supply.batches.items()}

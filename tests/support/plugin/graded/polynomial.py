"""Learning-rate schedule: a polynomial decay."""

from mt_dnn.registries import SCHEDULES


@SCHEDULES.register("polynomial")
def polynomial(progress, *, power: float = 2.0):
    """Fall from the peak to 0 as (1 - progress)^power."""
    return (1 - progress) ** power

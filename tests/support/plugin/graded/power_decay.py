"""Learning-rate schedule: a power of the linear decay."""

from mt_dnn.registries import SCHEDULES


@SCHEDULES.register("power_decay")
def power_decay(progress, *, power: float = 2.0):
    """Fall from the peak to 0 as (1 - progress)^power."""
    return (1 - progress) ** power

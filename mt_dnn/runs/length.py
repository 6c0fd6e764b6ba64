"""The greatest length of a run's sequences: the setting, the tasks' own, the encoder's positions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from data_utils.task_def import TaskDef
from mt_dnn.config.run import RunConfig
from mt_dnn.encoders.architecture import check_lengths
from mt_dnn.encoders.load import encoder_positions


def resolve_length(
    config: RunConfig, tasks: Mapping[str, TaskDef], log: Callable[[str], None]
) -> RunConfig:
    """Return the configuration with ``data.max_seq_len`` set, after checking it and the tasks' own.

    Args:
        log: called with a line if the encoder has fewer positions than the default.

    Raises:
        UserError: a length that the user set exceeds the positions of the encoder.
    """
    data, encoder = config.data, config.model.encoder
    positions = encoder_positions(encoder)
    length = data.token_limit
    if positions is not None:
        if data.max_seq_len is None and length > positions:
            log(f"data.max_seq_len: {positions}, because {encoder} has no more positions")
            length = positions
        check_lengths(tasks, length, positions, encoder)
    return dataclasses.replace(config, data=dataclasses.replace(data, max_seq_len=length))

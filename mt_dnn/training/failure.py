"""One error message and one exit code for all processes of a distributed run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from data_utils.errors import UserError

if TYPE_CHECKING:
    from torch.distributed import TCPStore

WAIT = timedelta(seconds=5)
"""How long a process whose connection broke waits for another one to report its error."""


@contextmanager
def one_message() -> Iterator[None]:
    """Let only the first process with a UserError raise it; end the others quietly.

    They exit with code 2 too: those with a UserError of their own, and those whose connection broke
    because another process ended. Without torchrun this does nothing.
    """
    try:
        yield
    except UserError as error:
        if _report() > 1:
            raise SystemExit(2) from error
        raise
    except RuntimeError as error:  # torch's type of a broken connection
        if _is_reported():
            raise SystemExit(2) from error
        raise


def _report() -> int:
    """Record a UserError of this process; return how many processes have recorded one."""
    if (store := _store()) is None:
        return 1
    return int(store.add(_key(), 1))


def _is_reported() -> bool:
    """Whether a process has recorded a UserError, or does so soon."""
    if (store := _store()) is None:
        return False
    try:
        store.wait([_key()], WAIT)
    except RuntimeError:
        return False
    return True


def _key() -> str:
    return f"mt_dnn/failed/{os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}"


def _store() -> TCPStore | None:
    """Connect to the key-value store of torchrun, which outlives its processes; None without it."""
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return None
    from torch.distributed import TCPStore  # not at the top: --help should be fast

    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    try:
        return TCPStore(address, port, is_master=False, timeout=WAIT)
    except RuntimeError:
        return None

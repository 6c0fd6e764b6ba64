"""Locks between processes, which end with the process that holds them, however it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from data_utils.errors import UserError
from data_utils.files import disk_errors, make_folder


def _lock(path: Path) -> BaseFileLock:
    # One object per path: a process that has the lock gets it again.
    return FileLock(str(path.resolve()), is_singleton=True, thread_local=False)


def hold(path: Path, *, busy: str) -> BaseFileLock:
    """Take a lock and return it; ``release()`` frees it.

    The lock is flock(2) on the file ``path``, which stays. A process may take it several times.

    Args:
        path: the lock's file.
        busy: the message if another process has the lock.

    Raises:
        UserError: another process has the lock, or the file cannot be created.
    """
    make_folder(path.parent)
    lock = _lock(path)
    with disk_errors(path, everything=True):
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise UserError(busy) from None
    return lock


@contextmanager
def waiting_for(path: Path, *, log: Callable[[str], None], busy: str) -> Iterator[None]:
    """Hold a lock during the block; wait while another process has it.

    Without permission to create the file there is no lock: the process cannot write there either.

    Args:
        path: the lock's file.
        log: called with ``busy`` before waiting.
    """
    lock = _lock(path)
    try:
        make_folder(path.parent)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            log(busy)
            lock.acquire()
    except (UserError, OSError):
        yield
        return
    try:
        yield
    finally:
        lock.release()

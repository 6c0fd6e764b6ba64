"""A lock belongs to a process and ends with it."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from data_utils.errors import UserError
from data_utils.locks import hold, waiting_for

fork = multiprocessing.get_context("fork")


def hold_and_wait(path: Path, ready) -> None:
    lock = hold(path, busy="")
    ready.set()
    signal.pause()
    lock.release()


@pytest.fixture
def holder(tmp_path):
    """Another process that has the lock."""
    ready = fork.Event()
    process = fork.Process(target=hold_and_wait, args=(tmp_path / ".lock", ready))
    process.start()
    ready.wait()
    yield process
    process.kill()  # not by an Event: its set() waits for a process that was killed while waiting
    process.join()


def test_another_process_is_refused_until_the_first_is_killed(tmp_path, holder):
    with pytest.raises(UserError, match=r"^in use$"):
        hold(tmp_path / ".lock", busy="in use")
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    hold(tmp_path / ".lock", busy="in use").release()


def test_the_same_process_may_hold_it_twice(tmp_path):
    locks = [hold(tmp_path / ".lock", busy="in use") for _ in range(2)]
    for lock in locks:
        lock.release()


def test_a_child_that_outlives_the_holder_does_not_keep_the_lock(tmp_path):
    """Workers of a data loader are children of the process that has the run."""
    lock = hold(tmp_path / ".lock", busy="in use")
    end = fork.Event()
    child = fork.Process(target=end.wait)
    child.start()
    lock.release()
    other = fork.Process(target=hold, args=(tmp_path / ".lock",), kwargs={"busy": "in use"})
    other.start()
    other.join()
    end.set()
    child.join()
    assert other.exitcode == 0


def test_the_second_waits_and_says_so(tmp_path, holder):
    said: list[str] = []

    def log(line: str) -> None:
        said.append(line)
        holder.kill()

    with waiting_for(tmp_path / ".lock", log=log, busy="waiting"):
        assert said == ["waiting"]
        assert not holder.is_alive()


def test_without_permission_there_is_no_lock(tmp_path):
    (tmp_path / "file").write_text("")
    entered = False
    with waiting_for(tmp_path / "file" / ".lock", log=print, busy="waiting"):
        entered = True
    assert entered

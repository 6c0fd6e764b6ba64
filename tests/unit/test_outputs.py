"""Regular files are replaced; devices, pipes and the input are not."""

from __future__ import annotations

import os
import stat
import sys
import threading

import pytest

from data_utils.errors import UserError
from data_utils.outputs import check_out, open_output


def write(output, source="/dev/null", text="new\n"):
    with open_output(str(output), source=str(source)) as stream:
        stream.write(text)


def test_a_device_is_written_to_and_stays():
    with pytest.raises(UserError, match=r"--output: /dev/full cannot be written: No space left"):
        write("/dev/full")
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)
    write("/dev/null")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_pipe_is_written_to(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write(pipe)
    reader.join()
    assert read == ["new\n"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_standard_output_by_its_path_is_not_replaced(tmp_path, monkeypatch):
    """/dev/stdout leads to a regular file where it is redirected."""
    path = tmp_path / "redirected"
    with path.open("w") as stream:
        inode = path.stat().st_ino
        write(f"/proc/self/fd/{stream.fileno()}")
    assert path.read_text() == "new\n"
    assert path.stat().st_ino == inode


@pytest.mark.parametrize("how", ["same", "link", "hard link", "standard input"])
def test_the_input_is_refused(tmp_path, how, monkeypatch):
    source = tmp_path / "rows.tsv"
    source.write_text("rows\n")
    output, name = source, str(source)
    if how == "link":
        output = tmp_path / "link"
        output.symlink_to(source)
    elif how == "hard link":
        output = tmp_path / "hard"
        output.hardlink_to(source)
    elif how == "standard input":
        monkeypatch.setattr(sys, "stdin", source.open())
        name = "-"
    with pytest.raises(UserError, match=r"--output: .* is the input"):
        write(output, name)
    assert source.read_text() == "rows\n"


def test_a_link_stays_and_its_target_is_replaced(tmp_path):
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "new\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "target"]


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="is a folder"):
        write(tmp_path)


def test_a_model_folder_with_something_else_in_it_is_not_replaced(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_text("")
    assert check_out(str(tmp_path), overwrite=True, runs=[]) == tmp_path
    for name in ("train.py", "data"):
        path = tmp_path / name
        path.mkdir() if name == "data" else path.write_text("mine")
        with pytest.raises(UserError, match=rf"contains {name}, which is no part of a model"):
            check_out(str(tmp_path), overwrite=True, runs=[])
        path.rmdir() if name == "data" else path.unlink()

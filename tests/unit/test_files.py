"""Atomic writes: the old content stays until the new one is complete."""

from __future__ import annotations

import errno
import os
import re
import shutil
from pathlib import Path

import pytest
from safetensors import SafetensorError

from data_utils import files
from data_utils.errors import UserError
from data_utils.files import (
    append_line,
    atomic_file,
    atomic_folder,
    cut_back,
    recover,
    remove,
    write_text,
)


def test_a_file_is_replaced_when_the_block_succeeds(tmp_path):
    path = tmp_path / "new" / "a.txt"
    for text in ("old\n", "new\n"):
        with atomic_file(path) as stream:
            stream.write(text)
    assert path.read_bytes() == b"new\n"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_a_file_is_unchanged_while_and_after_a_block_fails(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_and_fail() -> None:
        with atomic_file(path) as stream:
            stream.write("new")
            stream.flush()
            assert path.read_text() == "old"
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        write_and_fail()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_file_that_cannot_be_created_is_named_with_its_option(tmp_path):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "a.txt"
    message = r"a\.txt cannot be written"
    with (
        pytest.raises(UserError, match=rf"^--output: .*{message}"),
        atomic_file(path, setting="--output"),
    ):
        pass
    with pytest.raises(UserError, match=rf"^/.*{message}"), atomic_file(path):
        pass


def test_a_folder_is_replaced_when_the_block_succeeds(tmp_path):
    folder = tmp_path / "new" / "f"
    (folder.parent / "f.partial").mkdir(parents=True)
    (folder.parent / "f.partial" / "left_behind").write_text("")  # by a killed process
    for name in ("old", "new"):
        with atomic_folder(folder) as partial:
            (partial / name).write_text(name)
    assert [p.name for p in folder.iterdir()] == ["new"]
    assert [p.name for p in folder.parent.iterdir()] == ["f"]


def test_a_folder_is_unchanged_after_a_block_fails(tmp_path):
    folder = tmp_path / "f"
    folder.mkdir()
    (folder / "old").write_text("old")

    def write_and_fail() -> None:
        with atomic_folder(folder) as partial:
            (partial / "new").write_text("new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_fail()
    assert [p.name for p in folder.iterdir()] == ["old"]
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


@pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "two renames"])
def test_a_replaced_folder_is_moved_aside(tmp_path, monkeypatch, exchange):
    if not exchange:
        monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    folder, old = tmp_path / "f", tmp_path / "kept" / "old"
    for name in ("one", "two", "three"):
        with atomic_folder(folder, keep_as=old) as aside:
            (aside / name).write_text(name)
    assert [p.name for p in folder.iterdir()] == ["three"]
    assert [p.name for p in old.iterdir()] == ["two"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["f", "kept"]


def test_a_folder_that_was_being_exchanged_in_two_steps_is_recovered(tmp_path):
    folder = tmp_path / "f"
    for name, text in ((".replaced", "old"), (".partial", "new")):
        (tmp_path / f"f{name}").mkdir()
        (tmp_path / f"f{name}" / "a").write_text(text)
    recover(folder)
    assert (folder / "a").read_text() == "old"


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_the_umask_decides_the_permissions(tmp_path, mask):
    """safetensors writes files that only their owner may read."""
    before = os.umask(mask)
    try:
        with atomic_folder(tmp_path / "f") as aside:
            (aside / "own").touch(0o600)
        write_text(tmp_path / "t", "text")
        append_line(tmp_path / "l", "line")
    finally:
        os.umask(before)
    paths = (tmp_path / "f" / "own", tmp_path / "t", tmp_path / "l")
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o666 & ~mask}


def test_everything_is_synced_before_it_has_its_name(tmp_path, monkeypatch):
    """Files, then the folder, then its name, then the folder above; the old content goes last."""
    done: list[str] = []

    def name(path: object) -> str:
        return str(path).removeprefix(str(tmp_path)).lstrip("/") or "."

    fsync, move, rmtree = os.fsync, os.replace, shutil.rmtree

    def record_fsync(descriptor: int) -> None:
        done.append(f"sync {name(os.readlink(f'/proc/self/fd/{descriptor}'))}")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(os, "replace", lambda a, b: (done.append(f"move {name(b)}"), move(a, b)))
    monkeypatch.setattr(shutil, "rmtree", lambda p: (done.append(f"delete {name(p)}"), rmtree(p)))
    with atomic_folder(tmp_path / "f") as aside:
        (aside / "sub").mkdir()
        (aside / "sub" / "a").write_text("a")
    first = ["sync f.partial/sub/a", "sync f.partial/sub", "sync f.partial"]
    assert done == [*first, "move f", "sync ."]
    done.clear()
    with atomic_folder(tmp_path / "f") as aside:
        (aside / "b").write_text("b")
    assert done == ["sync f.partial/b", "sync f.partial", "sync .", "delete f.partial"]
    done.clear()
    remove(tmp_path / "f")
    assert done == ["move f.replaced", "sync .", "delete f.replaced"]
    done.clear()
    write_text(tmp_path / "t", "text")
    assert done == ["sync t.partial", "move t", "sync ."]


def test_a_link_is_removed_and_not_what_it_leads_to(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "link").symlink_to("kept")
    remove(tmp_path / "link")
    remove(tmp_path / "not there")
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]


def test_two_processes_do_not_write_one_file(tmp_path):
    path = tmp_path / "a.txt"
    with atomic_file(path) as stream:
        stream.write("first")
        with (
            pytest.raises(UserError, match="is being written by another process"),
            atomic_file(path),
        ):
            pass
    assert path.read_text() == "first"


def test_a_line_is_appended_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "log"
    append_line(path, "one")
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda fd, data: write(fd, data[:3]))  # as a full disk does
        with pytest.raises(UserError, match="log cannot be written: No space left"):
            append_line(path, "a long line")
    append_line(path, "two", durable=True)
    assert path.read_text() == "one\ntwo\n"
    cut_back(path, 4)
    assert path.read_text() == "one\n"


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "x"),
        SafetensorError("I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_an_error_of_the_user(tmp_path, error):
    with (
        pytest.raises(UserError, match=r"f cannot be written: No space left on device"),
        atomic_folder(tmp_path / "f"),
    ):
        raise error
    assert list(tmp_path.iterdir()) == []


ALLOWED = {
    "data_utils/files.py": "the place of all of them",
    "data_utils/outputs.py": "devices and pipes that --output names",
    "mt_dnn/tables/processes.py": "the log of preparing, which appends",
    "mt_dnn/tables/runs.py": "logs of child processes, which append",
    "mt_dnn/encoders/encoder.py": "save_pretrained, into a folder of atomic_folder",
    "mt_dnn/encoders/adapters.py": "save_pretrained, into a folder of atomic_folder",
    "mt_dnn/publish/adapter.py": "copytree, into a folder of atomic_folder",
    "mt_dnn/runs/model_folder.py": "save_file and save_pretrained, into a folder of atomic_folder",
    "mt_dnn/training/checkpoint.py": "save_file and save_model, into a folder of atomic_folder",
    "mt_dnn/publish/export.py": "save_pretrained, into a folder of atomic_folder",
    "mt_dnn/from_mt_dnn/importer.py": "a temporary folder of its own",
}
WRITES = re.compile(
    r"shutil\.(rmtree|move|copy)|\.write_(text|bytes)\(|\.unlink\(|\.(rmdir|touch|mkdir)\("
    r"|os\.(open|remove|unlink|rename|replace|makedirs|truncate)\b"
    r"|open\([^)]*[\"'][wax]b?\+?[\"']|save_(pretrained|file|model)\(|\.savefig\((?!picture)"
)


def test_nothing_else_writes_or_removes():
    root = Path(__file__).parents[2]
    found = {
        f"{path.relative_to(root)}:{number}: {line.strip()}"
        for package in ("data_utils", "mt_dnn")
        for path in sorted((root / package).rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if WRITES.search(line) and "def " not in line and str(path.relative_to(root)) not in ALLOWED
    }
    assert not found
    for name in ALLOWED:
        assert WRITES.search((root / name).read_text()), f"{name} needs no exception"

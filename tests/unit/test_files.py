"""Atomic writes: the old content stays until the new one is complete."""

from __future__ import annotations

import pytest

from data_utils.errors import UserError
from data_utils.files import atomic_file, atomic_folder


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

"""Durable and atomic writes: every write and every removal of the packages goes through here.

A new file or folder is written aside, synced, and renamed; its parent is synced; only then is the old
content removed. After a crash or a power cut the name therefore has its old or its new content, complete.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from data_utils.errors import UserError

PARTIAL = ".partial"
"""Suffix of what is being written."""
REPLACED = ".replaced"
"""Suffix of what is being deleted, and of a replaced folder where two folders cannot be exchanged."""
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


@contextmanager
def disk_errors(path: Path, *, setting: str = "", everything: bool = False) -> Iterator[None]:
    """Raise a UserError for a full or read-only disk.

    Args:
        path: what is being written, for the message.
        setting: the option that names it, such as ``--output``.
        everything: convert every OSError, for a block that does nothing but write ``path``.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        number = error.errno if isinstance(error, OSError) else None
        if number is None and (found := re.search(r"\(os error (\d+)\)", str(error))):
            number = int(found[1])  # safetensors and tokenizers raise their own types
        if number not in _DISK and not (everything and isinstance(error, OSError)):
            raise
        prefix = f"{setting}: " if setting else ""
        reason = os.strerror(number) if number else str(error)
        raise UserError(f"{prefix}{path} cannot be written: {reason}") from None


def sync(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path, *, setting: str = "", target: Path | None = None) -> None:
    """Create a folder and its parents, durably.

    Args:
        setting: the option that names it, for the message.
        target: what is to be written in it, for the message.

    Raises:
        UserError: it cannot be created.
    """
    with disk_errors(target or folder, setting=setting, everything=True):
        missing = [part for part in (folder, *folder.parents) if not part.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        for part in reversed(missing):
            sync(part.parent)


def move(source: Path, target: Path) -> None:
    """Rename a file or folder durably. An existing file is replaced."""
    os.replace(source, target)
    sync(target.parent)
    if source.parent != target.parent:
        sync(source.parent)


def remove(path: Path) -> None:
    """Remove a file, a link or a folder, if it is there. Links are not followed.

    A folder is renamed before its content is deleted, so that a half-deleted folder never has its name.

    Raises:
        UserError: it cannot be removed.
    """
    with disk_errors(path, everything=True):
        old = beside(path, REPLACED)
        if path.suffix not in (PARTIAL, REPLACED) and old.is_dir():
            shutil.rmtree(old)  # a process was killed while it deleted the folder
        if path.is_symlink() or path.is_file():
            path.unlink()
        elif path.is_dir():
            if path.suffix not in (PARTIAL, REPLACED):
                move(path, old)
                path = old
            shutil.rmtree(path)


def beside(path: Path, suffix: str) -> Path:
    """Return the path with a suffix added to its name."""
    return path.with_name(f"{path.name}{suffix}")


@contextmanager
def atomic_folder(folder: Path, *, keep_as: Path | None = None) -> Iterator[Path]:
    """Yield a new folder that replaces ``folder``, durably, if the block succeeds.

    ``folder`` exists at every moment if it existed before: the two folders are exchanged in one step where
    the system can do so (Linux), and renamed in two elsewhere. If the block fails, the new folder is
    deleted and ``folder`` is unchanged. Files get the permissions that the umask allows, also if a
    library writes them for the owner alone.

    Args:
        keep_as: where the replaced folder is moved, instead of being deleted.

    Raises:
        UserError: the folder cannot be written.
    """
    partial = beside(folder, PARTIAL)
    recover(folder)
    remove(partial)
    make_folder(folder.parent)
    with disk_errors(folder, everything=True):
        partial.mkdir()
    replaced = False
    try:
        with disk_errors(folder):
            yield partial
        with disk_errors(folder, everything=True):
            _seal(partial)
            replaced = exchange(partial, folder)
            if replaced and keep_as is not None:
                make_folder(keep_as.parent)
                remove(keep_as)
                move(partial, keep_as)
    finally:
        if not (replaced and keep_as):
            with suppress(UserError, OSError):
                remove(partial)


def exchange(new: Path, folder: Path) -> bool:
    """Give the folder ``new`` the name ``folder``, durably; the replaced folder gets the name ``new``.

    Returns:
        Whether there was a folder to replace.
    """
    if not os.path.lexists(folder):
        move(new, folder)
        return False
    if not _exchange(new, folder):
        old = beside(folder, REPLACED)
        remove(old)
        move(folder, old)
        move(new, folder)
        move(old, new)
    sync(folder.parent)
    return True


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step; False if the system or the file system cannot."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    names = os.fsencode(one), os.fsencode(other)
    if renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP):
        return False
    raise OSError(number, os.strerror(number), str(other))


def recover(folder: Path) -> None:
    """Restore a folder if the process that replaced it in two steps was killed between them."""
    old = beside(folder, REPLACED)
    if old.is_dir() and beside(folder, PARTIAL).is_dir() and not os.path.lexists(folder):
        move(old, folder)


def _seal(folder: Path) -> None:
    """Sync all files and folders of a tree, and give its files the permissions of the umask."""
    mode = folder.stat().st_mode & 0o666  # mkdir applied the umask
    for root, _, files in os.walk(folder, topdown=False):
        for name in files:
            path = Path(root, name)
            if not path.is_symlink():
                path.chmod(mode)
                sync(path)
        sync(Path(root))


@contextmanager
def atomic_file(path: Path, *, setting: str = "") -> Iterator[TextIO]:
    """Yield a UTF-8 text stream whose content replaces the file ``path``, durably, if the block succeeds.

    If the block fails, the written content is deleted and ``path`` is unchanged. Lines end in \\n.

    Args:
        setting: the option that names the file, such as ``--output``, for the message.

    Raises:
        UserError: the file cannot be written, or another process is writing it.
    """
    partial = beside(path, PARTIAL)
    make_folder(path.parent, setting=setting, target=path)
    with disk_errors(path, setting=setting, everything=True):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "")
        stream = _open_alone(partial, path)
    try:
        with disk_errors(path, setting=setting), stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
            with disk_errors(path, setting=setting, everything=True):
                move(partial, path)  # before the stream is closed, which releases its lock
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _open_alone(partial: Path, path: Path) -> TextIO:
    """Open a file for writing that no other process is writing.

    The lock ends with the process, so a file that a killed process left is written anew.
    """
    while True:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(partial, flags, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if partial.exists() and os.path.samestat(os.fstat(descriptor), partial.stat()):
                os.ftruncate(descriptor, 0)
                return open(descriptor, "w", encoding="utf-8", newline="\n")
        except BlockingIOError:
            os.close(descriptor)
            raise UserError(f"{path} is being written by another process") from None
        os.close(descriptor)  # the other process has just renamed it


def write_text(path: Path, text: str) -> None:
    """Replace a text file, as :func:`atomic_file`."""
    with atomic_file(path) as stream:
        stream.write(text)


def write_bytes(path: Path, data: bytes) -> None:
    """Replace a binary file, as :func:`atomic_file`."""
    with atomic_file(path) as stream:
        stream.buffer.write(data)


def append_line(path: Path, line: str, *, durable: bool = False) -> None:
    """Append a line to a text file with one write. If the disk is full, nothing of it remains.

    Args:
        line: the text without its end of line.
        durable: wait until the line is on the disk.

    Raises:
        UserError: the file cannot be written.
    """
    with disk_errors(path, everything=True):
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            size = os.fstat(descriptor).st_size
            data = f"{line}\n".encode()
            try:
                if os.write(descriptor, data) < len(data):
                    raise OSError(errno.ENOSPC, "")
            except OSError:
                os.ftruncate(descriptor, size)
                raise
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)


def cut_back(path: Path, size: int) -> None:
    """Shorten a file to ``size`` bytes, durably. A missing or shorter file stays as it is."""
    if path.exists() and path.stat().st_size > size:
        with disk_errors(path, everything=True):
            os.truncate(path, size)
            sync(path)


def sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

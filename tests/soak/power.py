"""What a disk holds after a power cut: only what was synced is sure to be there."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

Entries = dict[str, int]
"""Names in a folder -> inode."""


class PowerCut:
    """Records every fsync in a folder, and can put the folder into a state that a power cut may leave.

    A file keeps the content that it had when it was synced last; a folder keeps the entries that it had
    when it was synced last. Of what came after, :meth:`cut` loses everything, or random parts of the
    contents, with all entries or none: file systems write entries in order, but not before contents.

    Inodes stay open, so that their numbers are not used again.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.contents: dict[int, bytes] = {}
        """Inode of a file -> what was synced."""
        self.entries: dict[int, Entries] = {}
        """Inode of a folder -> what was synced."""
        self.folders: set[int] = set()
        self.kept: dict[int, int] = {}
        for folder, _, files in os.walk(root):  # what is there is on the disk
            self._folder(os.open(folder, os.O_RDONLY))
            for name in files:
                self._file(os.open(os.path.join(folder, name), os.O_RDONLY))
        self._fsync = os.fsync
        os.fsync = self.fsync

    def fsync(self, descriptor: int) -> None:
        """Replaces os.fsync."""
        self._fsync(descriptor)
        target = os.readlink(f"/proc/self/fd/{descriptor}")
        if not (target + "/").startswith(f"{self.root}/"):
            return
        again = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY)
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            self._folder(again)
        else:
            self._file(again)

    def _folder(self, descriptor: int) -> None:
        inode = self._keep(descriptor)
        self.entries[inode] = self._listing(f"/proc/self/fd/{self.kept[inode]}")
        self.folders.add(inode)

    def _file(self, descriptor: int) -> None:
        inode = self._keep(descriptor)
        size = os.fstat(self.kept[inode]).st_size
        self.contents[inode] = os.pread(self.kept[inode], size, 0)

    def _keep(self, descriptor: int) -> int:
        inode = os.fstat(descriptor).st_ino
        if inode in self.kept:
            os.close(descriptor)
        else:
            self.kept[inode] = descriptor
        return inode

    def _listing(self, folder: str) -> Entries:
        """The entries of a folder; their inodes are kept open, and new folders are known to be folders."""
        found = {}
        for entry in os.scandir(folder):
            inode = entry.inode()
            if inode not in self.kept:
                self.kept[inode] = os.open(entry.path, os.O_RDONLY)
                if entry.is_dir(follow_symlinks=False):
                    self.folders.add(inode)
            found[entry.name] = inode
        return found

    def cut(self, seed: int) -> None:
        """Replace the content of the folder by what the disk holds.

        Args:
            seed: chooses what else is there of what was not synced; 0: nothing.
        """
        chance = random.Random(seed) if seed else None
        aside = self.root.with_name(f"{self.root.name}.after")
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        entries_too = chance is not None and chance.random() < 0.5
        self._restore(os.stat(self.root).st_ino, aside, chance, entries_too)
        # By renaming, because another thread may be writing a file of events.
        self.root.rename(self.root.with_name(f"{self.root.name}.before"))
        aside.rename(self.root)

    def _restore(
        self, inode: int, target: Path, chance: random.Random | None, entries_too: bool
    ) -> None:
        known = self._listing(f"/proc/self/fd/{self.kept[inode]}")
        if not entries_too:
            known = self.entries.get(inode, {})
        for name, child in sorted(known.items()):
            path = target / name
            if child in self.folders:
                path.mkdir()
                self._restore(child, path, chance, entries_too)
            else:
                path.write_bytes(self._content(child, chance))

    def _content(self, inode: int, chance: random.Random | None) -> bytes:
        synced = self.contents.get(inode, b"")
        if chance and chance.random() < 0.5:
            size = os.fstat(self.kept[inode]).st_size
            now = os.pread(self.kept[inode], size, 0)
            return now[: chance.randint(len(synced), max(len(now), len(synced)))] or synced
        return synced

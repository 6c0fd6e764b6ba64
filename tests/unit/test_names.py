"""One rule for names, and paths that stay inside their root."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_utils.errors import UserError
from data_utils.names import check_name, confined
from mt_dnn.config.bounds import resolve_config
from mt_dnn.config.run import RunConfig

BAD = [
    "",
    ".",
    "..",
    "a/b",
    "/etc",
    "x/../y",
    "a b",
    "a\n",
    "a.b",
    "a\0",
    "x" * 101,
    None,
    3,
    "\ud83d",
]


@pytest.mark.parametrize("name", BAD)
def test_a_bad_name_is_refused_with_its_place(name):
    with pytest.raises(
        UserError, match=r"^tasks\.yml:3: .* is not a name; use at most 100 letters"
    ):
        check_name(name, "tasks.yml:3")


@pytest.mark.parametrize("name", ["rte", "matched_dev", "a-b_2", "任务", "ä"])
def test_a_good_name_is_returned(name):
    assert check_name(name, "here") == name


@pytest.mark.parametrize("name", ["run", "lr-0.1", "smart-a+b-1", "2018"])
def test_the_name_of_a_run_may_contain_dots(name):
    assert check_name(name, "name", run=True) == name
    assert resolve_config(RunConfig(name=name)).name == name


@pytest.mark.parametrize("name", [".", "..", ".hidden", "-x", "a/b", "", "x" * 201, "é" * 101])
def test_a_run_is_one_folder(name):
    with pytest.raises(UserError, match=r"^name: .*is not a name"):
        resolve_config(RunConfig(name=name))


def test_a_path_stays_in_its_root(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "out").mkdir()
    (root / "link").symlink_to(tmp_path / "out")
    assert confined(root, "a", "b.txt") == root / "a" / "b.txt"
    for names in (("..", "x"), ("/etc",), (".",), ("link",), ("link", "x"), ("a", "..", "..", "x")):
        with pytest.raises(UserError, match="leads out of"):
            confined(root, *names)


def test_a_root_may_be_reached_by_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "root").symlink_to(tmp_path / "real")
    assert confined(tmp_path / "root", "a") == Path(tmp_path / "root" / "a")

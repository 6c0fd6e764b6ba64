"""A short form of ``make soak``: some accidents of every kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.accidents import full_disks, kills, power_cuts, two_writers
from tests.soak.scenes import Scenes


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Scenes:
    folder: Path = tmp_path_factory.mktemp("soak") / "soak"
    return Scenes(folder, modes=("plain",))


def test_a_killed_run_resumes_to_the_same_files(scenes):
    for accident in kills(scenes, "plain", stride=150, seed=120):
        accident()


def test_a_power_cut_loses_nothing_that_is_named(scenes):
    for accident in power_cuts(scenes, "plain", 1):
        accident()


def test_a_full_disk_is_a_sentence(scenes):
    for accident in full_disks(scenes, "plain", range(300_000, 300_001)):
        accident()


def test_a_second_process_is_refused(scenes):
    for accident in two_writers(scenes, "plain"):
        accident()

"""Two runs on texts that all fit: with windows and without, they compute the same."""

from __future__ import annotations

import pytest

from tests.support.runs import assert_same_weights, copy_workspace, lines, predictions, run

pytestmark = pytest.mark.usefixtures("no_pictures")
TIMES = ("speed/", "time/", "memory/")


def test_windows_of_one_sequence_change_no_bit(tiny_config, workspace, tmp_path):
    tasks = (workspace / "tasks.yml").read_text()
    windows = tasks.replace("metric_meta: [ACC, CMAT]", "metric_meta: [ACC, CMAT]\n  windows: {}")
    windows = windows.replace("metric_meta: [Pearson]", "metric_meta: [Pearson]\n  windows: {}")
    assert windows.count("windows") == 2
    runs = []
    for name, text in (("plain", tasks), ("windows", windows)):
        data = copy_workspace(workspace, tmp_path / name, tasks=text)
        runs.append(run(tiny_config(data=data, smart="smart", name=name)))
    plain, other = runs
    assert other.data.train["pair"].manifest.most_windows == 1
    assert_same_weights(plain.model.state_dict(), other.model.state_dict())
    assert predictions(plain, "pair") == predictions(other, "pair")
    for one, two in zip(lines(plain), lines(other), strict=True):
        for key in one.keys() | two.keys():
            assert key.startswith(TIMES) or one[key] == two[key], key

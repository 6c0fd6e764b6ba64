"""The page of ``mt-dnn report`` does not replace a file that is no page."""

from __future__ import annotations

import pytest

from data_utils.errors import UserError
from mt_dnn.reports.command import main
from tests.support.written_run import lines, write_run


def test_a_file_of_the_run_is_not_replaced(tmp_path):
    run = write_run(tmp_path / "r", {"t": lines("ab", "ab")})
    before = (run / "scores.json").read_text()
    with pytest.raises(UserError, match=r"scores\.json exists and is no page; .* ends in \.html"):
        main([str(run), "--out", str(run / "scores.json")])
    assert (run / "scores.json").read_text() == before
    for _ in range(2):  # a page may be replaced
        main([str(run), "--out", str(tmp_path / "page.html")])

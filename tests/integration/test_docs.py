"""The Python page's predictions, on a finished run."""

from __future__ import annotations

from tests.support.documents import ROOT, blocks


def test_the_pages_predictions_work(run, tmp_path, monkeypatch):
    """With the fixture's tasks: ``tone`` in place of reviews, ``sim`` in place of stsb."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "demo").symlink_to(run.folder)
    monkeypatch.chdir(tmp_path)
    code = blocks(ROOT / "docs" / "python.md", "python")[0]
    for theirs, ours in (("reviews", "tone"), ("stsb", "sim")):
        assert f'"{theirs}"' in code
        code = code.replace(f'"{theirs}"', f'"{ours}"')
    names: dict = {}
    exec(compile(code, "python.md", "exec"), names)
    assert set(names["run"].tasks) == {"nli", "tone", "sim", "rank"}

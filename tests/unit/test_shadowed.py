"""Another package named data_utils ahead of ours on sys.path."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("decoy", ["data_utils/__init__.py", "data_utils.py"])
def test_another_package_named_data_utils_is_an_error_in_one_line(decoy, tmp_path):
    (tmp_path / decoy).parent.mkdir(exist_ok=True)
    (tmp_path / decoy).write_text("raise SystemExit('imported')\n")
    for module in ("mt_dnn", "mt_dnn.cli", "mt_dnn.config.parser"):
        code = f"import sys; sys.path[:0] = sys.argv[1:]; import {module}"
        command = [sys.executable, "-c", code, str(tmp_path), str(ROOT)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        found = (tmp_path / decoy).parent if decoy.endswith("__init__.py") else tmp_path / decoy
        assert done.stderr.splitlines()[-1] == (
            "ImportError: mt_dnn needs its own package data_utils, but Python finds another one "
            f"first: {found}. Rename that one, or remove its folder from sys.path (PYTHONPATH)."
        )


def test_a_folder_of_that_name_without_code_is_no_obstacle(tmp_path):
    """A namespace package comes after every regular one, wherever it lies."""
    (tmp_path / "data_utils").mkdir()
    code = "import sys; sys.path[:0] = sys.argv[1:]; import mt_dnn.config.parser"
    command = [sys.executable, "-c", code, str(tmp_path), str(ROOT)]
    subprocess.run(command, cwd=tmp_path, check=True)

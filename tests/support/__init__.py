"""Builders that several test files share, one kind of thing a file."""

import pytest

pytest.register_assert_rewrite(
    "tests.support.documents",
    "tests.support.interrupted",
    "tests.support.runs",
    "tests.support.task_files",
)

import pytest

pytest.register_assert_rewrite("tests.unit.task_files")

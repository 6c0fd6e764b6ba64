"""What pyproject.toml declares against what the code needs."""

from __future__ import annotations

import ast
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DECLARED = {
    canonicalize_name(requirement.name): requirement
    for requirement in map(Requirement, PROJECT["dependencies"])
}
OPTIONAL = {
    canonicalize_name(Requirement(line).name)
    for extra, lines in PROJECT["optional-dependencies"].items()
    if extra not in ("dev", "docs")
    for line in lines
}
"""Of the extras that a user may want."""


def test_the_pins_of_requirements_txt_satisfy_the_declared_ranges():
    lines = [
        line.split("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().split("\n")
    ]
    pins = [Requirement(line) for line in lines if line and line != "-e ."]
    assert "torch" in [pin.name for pin in pins]
    assert "-e ." in lines  # what is not pinned comes from the ranges
    for pin in pins:
        (exact,) = pin.specifier
        assert exact.operator == "=="
        assert exact.version in DECLARED[canonicalize_name(pin.name)].specifier, pin.name


def third_party_imports() -> dict[str, Path]:
    """Top-level name -> a file of ours that imports it, at its top or inside a function."""
    found = {}
    for package in ("mt_dnn", "data_utils"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom):
                    names = [str(node.module)]
                found |= {name.split(".")[0]: path for name in names}
    ours = {"mt_dnn", "data_utils"}
    return {k: path for k, path in found.items() if k not in sys.stdlib_module_names | ours}


def test_every_import_is_of_a_declared_dependency():
    installed = packages_distributions()
    imports = third_party_imports()
    assert {"torch", "yaml", "sklearn"} <= set(imports)
    for name, path in imports.items():
        distributions = {canonicalize_name(found) for found in installed[name]}
        assert distributions & (set(DECLARED) | OPTIONAL), f"{path} imports {name}"

"""The command line of a run: YAML below flags below nothing. No torch here."""

from __future__ import annotations

from collections.abc import Sequence

from jsonargparse import ArgumentParser, set_parsing_settings

from mt_dnn.config import RunConfig


def run_parser(prog: str, description: str) -> ArgumentParser:
    """A parser with a flag for every field of :class:`RunConfig`, documented from its docstrings."""
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = ArgumentParser(prog=prog, description=description, allow_abbrev=False)
    parser.add_argument(
        "--config", action="config", help="YAML file; flags after it override its fields."
    )
    parser.add_class_arguments(RunConfig)
    return parser


def parse_config(
    args: Sequence[str] | None = None, *, prog: str = "train.py", description: str = ""
) -> RunConfig:
    """The configuration that the arguments describe; exits with code 2 where they are wrong."""
    parser = run_parser(prog, description)
    values = parser.instantiate(parser.parse_args(args))
    fields = {name: getattr(values, name) for name in RunConfig.__dataclass_fields__}
    return RunConfig(**fields)

"""The command line of a run: YAML below flags below nothing. No torch here."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import is_dataclass
from itertools import pairwise
from pathlib import Path
from typing import NoReturn, get_type_hints

import yaml
from jsonargparse import ArgumentParser, Namespace, set_parsing_settings

from data_utils.registry import choices_hint
from mt_dnn.config.run import RunConfig


class RunParser(ArgumentParser):
    """Says in a line or two what is wrong, in place of the page of usage that hides it."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        message = re.sub(r'^Parser key "([\w.]+)":\s*', r"\1: ", message)
        message = re.sub(r"a typing\.Literal\[(.*?)\]", r"one of \1", message)
        message = re.sub(r"a <class '(\w+)'>", r"a \1", message)
        if unknown := re.match(r"unrecognized arguments: --([\w.]+)", message):
            message += f".{_near(unknown[1], [name for name, _ in settings()])}"
        print(f"error: {message}\n{self.prog} --help lists every setting.", file=sys.stderr)
        sys.exit(2)


def run_parser(prog: str, description: str) -> ArgumentParser:
    """A parser with a flag for every field of :class:`RunConfig`, documented from its docstrings."""
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = RunParser(prog=prog, description=description, allow_abbrev=False)
    parser.add_argument(
        "--config", action="config", help="YAML file; flags after it override its fields."
    )
    parser.add_class_arguments(RunConfig)
    return parser


def parse_config(
    args: Sequence[str] | None = None, *, prog: str = "train.py", description: str = ""
) -> RunConfig:
    """The configuration that the arguments describe; exits with code 2 where they are wrong.

    A list may be written with commas alone: ``--data.use rte,mrpc``.
    """
    return parse_with(run_parser(prog, description), args)[0]


def parse_with(
    parser: ArgumentParser, args: Sequence[str] | None = None
) -> tuple[RunConfig, Namespace]:
    """As :func:`parse_config`; also all values, for a command that added flags of its own."""
    args = list(sys.argv[1:] if args is None else args)
    _check_config_keys(parser, args)
    values = parser.instantiate(parser.parse_args(_bracket_lists(args)))
    fields = {name: getattr(values, name) for name in RunConfig.__dataclass_fields__}
    return RunConfig(**fields), values


def settings(cls: type = RunConfig, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Dotted name and type of every field, such as ``("data.use", tuple[str, ...])``."""
    for name, hint in get_type_hints(cls).items():
        if is_dataclass(hint):
            yield from settings(hint, f"{prefix}{name}.")  # type: ignore[arg-type]
        else:
            yield prefix + name, hint


def _bracket_lists(args: Iterable[str]) -> list[str]:
    """``--data.use rte,mrpc`` -> ``--data.use ["rte","mrpc"]``, for every list of words."""
    flags = {f"--{name}" for name, hint in settings() if hint == tuple[str, ...]}
    result: list[str] = []
    for arg in args:
        flag, equals, value = arg.partition("=")
        if equals and flag in flags:
            arg = f"{flag}={_as_list(value)}"
        elif result and result[-1] in flags:
            arg = _as_list(arg)
        result.append(arg)
    return result


def _as_list(value: str) -> str:
    if value.lstrip().startswith("["):
        return value
    return json.dumps([word.strip() for word in value.split(",") if word.strip()])


def _check_config_keys(parser: ArgumentParser, args: Sequence[str]) -> None:
    """Name file, line and nearest setting of a key that does not exist; jsonargparse does not."""
    known = [name for name, _ in settings()]
    sections = {name.rpartition(".")[0] for name in known}
    for path in _config_files(args):
        try:
            root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        except (UnicodeDecodeError, yaml.YAMLError) as error:
            parser.error(f"{path}: not valid YAML: {error}")
        for key, line in _keys(root, sections):
            if key not in known and key not in sections:
                parser.error(f"{path}:{line}: unknown setting {key}.{_near(key, known)}")


def _near(key: str, known: list[str]) -> str:
    """The setting of that name in another section; or the nearest one of its own, and all of them."""
    section, _, word = key.rpartition(".")
    if elsewhere := [name for name in known if name.rpartition(".")[2] == word]:
        return f" Did you mean {' or '.join(elsewhere)}?"
    return choices_hint(key, [name for name in known if name.rpartition(".")[0] == section])


def _config_files(args: Sequence[str]) -> list[Path]:
    """Those that exist; jsonargparse reports the others."""
    given = [after for flag, after in pairwise(args) if flag == "--config"]
    given += [arg.removeprefix("--config=") for arg in args if arg.startswith("--config=")]
    return [path for path in map(Path, given) if path.is_file()]


def _keys(
    node: yaml.Node | None, sections: set[str], prefix: str = ""
) -> Iterator[tuple[str, int]]:
    """Dotted keys of a composed document and their lines, as deep as sections go."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = f"{prefix}{key.value}"
            yield name, key.start_mark.line + 1
            if name in sections:
                yield from _keys(value, sections, f"{name}.")

"""Read and check the key ``source`` of a task."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from data_utils.errors import UserError
from data_utils.registries import FORMATS
from data_utils.registry import choices_hint
from data_utils.task_def import SourceDef

CONLL = (".conll", ".bio", ".iob", ".iob2", ".txt")
"""Suffixes of files with CoNLL columns."""
PREDICTED_CONLL = tuple(suffix for suffix in CONLL if suffix != ".txt")
"""Those of files to predict, where a .txt file has a text in each line."""
SUFFIXES = (".csv", ".tsv", ".jsonl", *CONLL)


def read_source(
    value: Any, data_format: str, split_names: tuple[str, ...], where: str
) -> SourceDef | None:
    """Return the source of a task; None if the task file gives none.

    Raises:
        UserError: a key is unknown, its value has another type, or two keys contradict each other.
    """
    if value is None:
        return None
    where = f"{where}: source"
    known = [f.name for f in fields(SourceDef)]
    if not isinstance(value, dict):
        raise UserError(f"{where}: {value!r} is not a mapping.{choices_hint('', known)}")
    check_keys(value, known, where)
    for key in ("hub", "config", "revision", "delimiter"):
        if not isinstance(value.get(key), (str, type(None))):
            raise UserError(f"{where}: {key}: {value[key]!r} is not a string")
    for key in ("header", "quoting"):
        if not isinstance(value.get(key), (bool, type(None))):
            raise UserError(f"{where}: {key}: {value[key]!r} is not true or false")
    value = dict(value)
    columns = [name.rstrip("*") for name in FORMATS.get(data_format).columns]
    for key, choices in (("columns", columns), ("splits", split_names), ("files", split_names)):
        given = value.get(key, {})
        if key == "columns" and isinstance(given, dict):  # columns of CoNLL files have numbers
            given = {k: str(v) if type(v) is int else v for k, v in given.items()}
        if not isinstance(given, dict) or not all(isinstance(v, str) for v in given.values()):
            raise UserError(f"{where}: {key}: {given!r} is not a mapping of strings")
        check_keys(given, choices, f"{where}: {key}")
        value[key] = given
    source = SourceDef(**value)
    if bool(source.hub) == bool(source.files):
        raise UserError(f"{where}: give either hub or files, and not both")
    for name in source.files.values():
        _check_file(name, source, data_format, where)
    return source


def has_header(name: str, source: SourceDef) -> bool:
    """Whether the first line of a file names its columns."""
    return name.endswith(".csv") or (name.endswith(".tsv") and bool(source.header))


def check_keys(given: dict, choices: Iterable[str], where: str) -> None:
    """Check that all keys are among the choices.

    Raises:
        UserError: a key is unknown; the message lists the choices.
    """
    for key in given:
        if key not in choices:
            raise UserError(f"{where}: unknown key {key!r}.{choices_hint(key, choices)}")


def _check_file(name: str, source: SourceDef, data_format: str, where: str) -> None:
    """Check that the settings of a source fit the suffix of one of its files.

    Raises:
        UserError: they do not.
    """
    if not name.endswith(SUFFIXES):
        raise UserError(
            f"{where}: files: {name!r} is neither .csv, .tsv nor .jsonl, nor a file of CoNLL columns "
            f"({', '.join(CONLL)})"
        )
    if name.endswith(".tsv") and source.columns and not source.header:
        raise UserError(
            f"{where}: columns: {name!r} is TSV, which has no column names; remove columns, or set "
            f"header: true if its first line names them"
        )
    if name.endswith(".csv") and source.header is False:
        raise UserError(f"{where}: header: a .csv file needs a header; add a first line with names")
    if source.header and not has_header(name, source):
        raise UserError(f"{where}: header: {name!r} is neither .csv nor .tsv; remove header")
    for key in ("delimiter", "quoting"):
        if getattr(source, key) is not None and not has_header(name, source):
            raise UserError(f"{where}: {key}: {name!r} is no file with a header; remove {key}")
    if source.delimiter is not None and (len(source.delimiter) != 1 or source.delimiter in '"\r\n'):
        raise UserError(
            f"{where}: delimiter: {source.delimiter!r} is not one character, such as ';'"
        )
    if name.endswith(CONLL):
        if not FORMATS.get(data_format).reads_conll:
            able = [known for known in FORMATS.names() if FORMATS.get(known).reads_conll]
            raise UserError(
                f"{where}: files: {name!r} has CoNLL columns, which data_format {data_format} does "
                f"not read; use data_format {' or '.join(able)}"
            )
        for ours, number in source.columns.items():
            if ours == "uid" or not re.fullmatch(r"-?[1-9][0-9]{0,3}", number):
                raise UserError(
                    f"{where}: columns: {ours}: {number!r}; for CoNLL columns give the numbers of "
                    f"tokens and label, from 1; -1 is the last: {{tokens: 1, label: -1}}"
                )

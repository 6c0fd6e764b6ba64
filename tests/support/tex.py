"""A strict reader of the LaTeX that tables are written in: it refuses what a LaTeX engine would."""

from __future__ import annotations

import re

COMMANDS = {
    *("begin", "end", "centering", "toprule", "midrule", "bottomrule", "caption", "label", "item"),
    *("textbf", "underline", "scriptsize", "textbackslash", "textasciitilde", "textasciicircum"),
    *("pm", "leq", "geq", "times", "approx", "infty", "rightarrow", "uparrow", "downarrow"),
    *("lambda", "Delta", *"&%$#_{}", "\\"),
}
MATH_ONLY = {*("pm", "leq", "geq", "times", "rightarrow", "downarrow", "lambda", "Delta"), "^"}
TOKEN = re.compile(r"%[^\n]*|\\(?:[A-Za-z]+\*?|[^A-Za-z])|.", re.DOTALL)


def check_tex(text: str) -> list[list[str]]:
    """Check a document's body, and return the cells of each row of its tables.

    Raises:
        AssertionError: an unknown command, a special character that is not escaped, math without or text
            within dollars, braces or environments that do not match, or a row with too many cells.
    """
    stack: list[str] = []
    math, rows, row, cell, columns = False, [], [], "", 0
    text = re.sub(r"\\label\{[A-Za-z0-9:.-]+\}", "", text)
    tokens = [t for t in TOKEN.findall(text) if not t.startswith("%")]
    position = 0
    while position < len(tokens):
        token = tokens[position]
        position += 1
        name = token[1:] if token.startswith("\\") and len(token) > 1 else ""
        assert not name or name in COMMANDS, f"unknown command {token}"
        assert math or (name or token) not in MATH_ONLY, f"{token} outside of math"
        assert token not in "#~`", f"{token} is not escaped"
        assert math or token not in "<>|", f"{token} in text prints another character"
        if name in ("begin", "end"):
            assert tokens[position] == "{"
            close = tokens.index("}", position)
            environment = "".join(tokens[position + 1 : close])
            position = close + 1
            if name == "begin":
                stack.append(environment)
                if environment == "tabular":
                    end = tokens.index("}", position)
                    columns = end - position - 1
                    position, cell, row = end + 1, "", []
            else:
                assert not math
                assert stack.pop() == environment
        elif token == "{":
            stack.append("{")
        elif token == "}":
            assert stack.pop() == "{"
        elif token == "$":
            math = not math
        elif token == "_":
            raise AssertionError("_ is not escaped")
        elif token == "&" or name == "\\":
            assert stack[-1] == "tabular", f"{token} outside of a table's row"
            row.append(cell)
            cell = ""
            if name == "\\":
                following = "".join(tokens[position:]).lstrip()
                assert not following.startswith(("[", "*")), "read as an argument of \\\\"
                assert len(row) == columns, f"{len(row)} cells in {columns} columns"
                rows.append([" ".join(part.split()) for part in row])
                row = []
            continue
        if name not in ("toprule", "midrule", "bottomrule", "begin", "end"):
            cell += token
    assert not stack, stack
    assert not math
    return rows

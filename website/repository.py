"""Files of the repository as pages of the site, and links that lead to them.

The pages of ``docs/`` link to files outside it, such as ``../experiments/smart/README.md``. GitHub shows
such a file. The site has a page for each file that is linked, under ``source/``, so that it needs no
repository beside it.
"""

from __future__ import annotations

import base64
import json
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PREFIX = "source/"
"""Folder of the site for files outside docs/."""
PICTURES = (".png", ".svg")
LANGUAGES = {".yml": "yaml", ".py": "python", ".toml": "toml", ".jsonl": "json", ".json": "json"}
LINK = re.compile(r"^```.*?^```|`[^`\n]*`|\[(?P<text>[^\[\]]*)\]\((?P<to>[^)\s]+)\)", re.M | re.S)
"""A link, or code, in which nothing is a link."""


def page_of(path: str) -> str:
    """Return the site's source path of a repository file; ``docs/smart.md`` -> ``smart.md``."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if (ROOT / path).is_dir():
        return f"{PREFIX}{path}/README.md"
    if path.endswith((".md", *PICTURES)):
        return PREFIX + path
    return f"{PREFIX}{path}.md"


def target_of(link: str, document: str) -> str | None:
    """Return the repository path to which a link of a document leads; None for other links.

    Example::

        target_of("../experiments/smart/README.md#x", "docs/smart.md") -> "experiments/smart/README.md"
    """
    name = link.partition("#")[0]
    if not name or re.match(r"\w+:", name):
        return None
    return posixpath.normpath(posixpath.join(posixpath.dirname(document), name))


def rewrite(markdown: str, document: str) -> str:
    """Make the relative links of a document lead to the site's pages.

    A link whose text is the name of a page, such as ``[smart.md](smart.md)``, gets the title of the page.

    Args:
        markdown: text of the document.
        document: its path in the repository.
    """
    here = posixpath.dirname(page_of(document))

    def replaced(match: re.Match[str]) -> str:
        path = target_of(match["to"], document) if match["to"] else None
        if path is None:
            return match[0]
        _, hash_sign, anchor = match["to"].partition("#")
        to = posixpath.relpath(page_of(path), here or ".")
        text = match["text"]
        if text.endswith(".md") and path == posixpath.join("docs", text):
            text = title(path)
        return f"[{text}]({to}{hash_sign}{anchor})"

    return LINK.sub(replaced, markdown)


def title(path: str) -> str:
    """Return the first heading of a document."""
    return next(
        line[2:] for line in (ROOT / path).read_text("utf-8").splitlines() if line.startswith("# ")
    )


def linked_files() -> list[str]:
    """Return the repository files outside docs/ that documents of the site link to, in order."""
    queue = [f"docs/{path.relative_to(ROOT / 'docs')}" for path in (ROOT / "docs").rglob("*.md")]
    found: dict[str, None] = {}
    while queue:
        document = queue.pop()
        for path in _targets(document):
            if not path.startswith("docs/") and path not in found and (ROOT / path).exists():
                found[path] = None
                queue += [path] if path.endswith(".md") else []
                folder = ROOT / path
                if folder.is_dir():
                    found |= {f"{path}/{file.name}": None for file in sorted(folder.glob("*.py"))}
    return sorted(found)


def _targets(document: str) -> Iterator[str]:
    for match in LINK.finditer((ROOT / document).read_text(encoding="utf-8")):
        path = target_of(match["to"], document) if match["to"] else None
        if path is not None:
            yield path


def content(path: str) -> str | bytes:
    """Return a repository file as the site shows it: Markdown, or a picture as it is."""
    file = ROOT / path
    if file.is_dir():
        lines = [f"* [{each.name}]({each.name}.md)" for each in sorted(file.glob("*.py"))]
        return f"# {path}\n\n" + "\n".join(lines) + "\n"
    if path.endswith(PICTURES):
        return file.read_bytes()
    text = file.read_text(encoding="utf-8")
    if path.endswith(".md"):
        return rewrite(text, path)
    if path.endswith(".ipynb"):
        return notebook(text)
    return f"# {path}\n\n````{LANGUAGES.get(file.suffix, 'text')}\n{text}````\n"


def notebook(text: str) -> str:
    """Return a Jupyter notebook with its outputs as Markdown."""
    parts = []
    for cell in json.loads(text)["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"````python\n{source}\n````")
        for output in cell["outputs"]:
            data = output.get("data", {})
            if "image/png" in data:
                picture = base64.b64encode(base64.b64decode(data["image/png"])).decode()
                parts.append(f"![output of the cell above](data:image/png;base64,{picture})")
            elif plain := "".join(output.get("text", data.get("text/plain", []))):
                parts.append(f"````text\n{plain.rstrip()}\n````")
    return "\n\n".join(parts) + "\n"

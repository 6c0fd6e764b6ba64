"""What mkdocs calls while it builds the site (``hooks`` in mkdocs.yml)."""

from __future__ import annotations

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page
from pymdownx.slugs import slugify

from website import formulas, reference, repository


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Set what mkdocs.yml cannot express without Python tags: anchors as on GitHub, formulas."""
    config.mdx_configs.setdefault("toc", {})["slugify"] = slugify(case="lower")
    fences = config.mdx_configs.setdefault("pymdownx.superfences", {})
    fences["custom_fences"] = [{"name": "math", "class": "formula", "format": formulas.block}]
    config.markdown_extensions.append(formulas.Formulas())
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, and those of repository files that documents link to."""
    for uri, generate in reference.PAGES.items():
        files.append(File.generated(config, uri, content=generate()))
    listed = str(config.nav)
    for path in repository.linked_files():
        uri = repository.page_of(path)
        page = File.generated(config, uri, content=repository.content(path))
        if f"'{uri}'" not in listed:
            page.inclusion = InclusionLevel.NOT_IN_NAV
        files.append(page)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Make links to files outside docs/ lead to their pages."""
    if page.file.generated_by is None:
        return repository.rewrite(markdown, f"docs/{page.file.src_uri}")
    return markdown

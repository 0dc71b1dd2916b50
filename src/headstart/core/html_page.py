"""Self-contained pages from templates, in which everything that was read from files is escaped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from headstart.core.errors import visible


def render_page(template: Path, **content: Any) -> str:
    """Return a page as HTML.

    Args:
        template: a Jinja file; what it names is escaped, and its filter `visible` shows control characters.
        content: what the template names.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(template.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["visible"] = visible
    return environment.get_template(template.name).render(**content)

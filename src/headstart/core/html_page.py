"""Renders HTML pages from templates and escapes everything that is inserted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from headstart.core.errors import printable


def render_page(template: Path, **content: Any) -> str:
    """Return the page as HTML.

    Args:
        template: a Jinja file. Inserted values are escaped; the filter `printable` escapes control characters too.
        content: the variables of the template, all of which must be given.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(template.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["printable"] = printable
    return environment.get_template(template.name).render(**content)

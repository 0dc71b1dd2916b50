"""One self-contained page of a comparison: it needs no network, and everything that was read from files is escaped."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def render_page(figures: Mapping[str, Path], **content: Any) -> str:
    """Return the page as HTML.

    Args:
        figures: PNG files by what they show, in the order of the page; they become part of the page.
        content: what else the template names.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    images = {
        caption: f"data:image/png;base64,{base64.b64encode(file.read_bytes()).decode()}"
        for caption, file in figures.items()
    }
    return environment.get_template("page.html.j2").render(figures=images, **content)

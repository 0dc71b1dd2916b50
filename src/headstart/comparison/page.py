"""The HTML page of a comparison: self-contained, with everything that was read from files escaped."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstart.core import html_page


def render_page(figures: Mapping[str, Path], **content: Any) -> str:
    """Return the page as HTML.

    Args:
        figures: PNG files by caption, in the order of the page; they are embedded in it.
        content: the template's other variables.
    """
    images = {
        caption: f"data:image/png;base64,{base64.b64encode(file.read_bytes()).decode()}"
        for caption, file in figures.items()
    }
    return html_page.render_page(Path(__file__).with_name("page.html.j2"), figures=images, **content)

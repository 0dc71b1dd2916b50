"""Blocks of a Markdown page that programs write: measured figures, tables made from the code."""

from __future__ import annotations

import re
from pathlib import Path

from headstart.core.errors import HeadstartError
from headstart.core.files import write_text


def replace_block(page: Path, name: str, block: str) -> None:
    """Replace a block of a page; the text around it does not change.

    Args:
        page: a Markdown file.
        name: of the block, which is between the comments `<!-- NAME -->` and `<!-- /NAME -->`.
        block: the new text, including both comments; the first one may say more after a colon.

    Raises:
        HeadstartError: when the page has no such block.
    """
    pattern = re.compile(rf"<!-- {re.escape(name)}(?:: [^>]*)? -->.*?<!-- /{re.escape(name)} -->", re.DOTALL)
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    if not pattern.search(text):
        raise HeadstartError(f"Expected <!-- {name} --> and <!-- /{name} --> in {page}. Received: neither")
    write_text(page, pattern.sub(lambda _: block, text))


def row(*cells: str) -> str:
    """Return a line of a Markdown table."""
    return f"| {' | '.join(cells)} |"

"""Writes an audit as a self-contained HTML page with the images, and as a CSV table to exclude images with."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from PIL import Image

from headstart.audit.findings import KINDS, Finding
from headstart.core.files import open_csv, write_text
from headstart.core.html_page import render_page
from headstart.data.files.images import load_image
from headstart.data.index import ImageIndex

COLUMNS = ("path", "finding", "detail", "partner", "split", "label", "score")
SIDE = 144  # pixels of an image on the page
QUALITY = 80  # of its JPEG
THREADS = 4


def write_table(findings: Sequence[Finding], index: ImageIndex, file: Path) -> None:
    """Write audit.csv, with a row for each image that could be excluded; `dataset.exclude` reads it.

    Args:
        findings: of the audit.
        index: the images.
        file: the CSV file.
    """
    with open_csv(file) as opened:
        writer = csv.writer(opened)
        writer.writerow(COLUMNS)
        for one in findings:
            partner = "" if one.partner is None else index.paths[one.partner]
            label = index.class_names[index.labels[one.position]]
            split = str(index.splits[one.position])
            writer.writerow((index.paths[one.position], one.kind, one.detail, partner, split, label, one.score))


def write_page(findings: Sequence[Finding], index: ImageIndex, most: int, file: Path, **content: Any) -> None:
    """Write audit.html.

    Args:
        findings: of the audit, each kind in the order of the page.
        index: the images.
        most: maximum number of findings of each kind to show with their images.
        file: the HTML file.
        content: the template's other variables.
    """
    by_kind = {kind: _each_pair_once([one for one in findings if one.kind == kind]) for kind in KINDS}
    shown = {kind: found[:most] for kind, found in by_kind.items()}
    wanted = {
        end for found in shown.values() for one in found for end in (one.position, one.partner) if end is not None
    }
    with ThreadPoolExecutor(THREADS) as threads:
        pictures = dict(zip(wanted, threads.map(lambda position: _picture(index, position), wanted), strict=True))
    sections = [
        {"kind": kind, **vars(KINDS[kind]), "count": len(by_kind[kind]), "cards": [_card(one, index) for one in found]}
        for kind, found in shown.items()
        if found
    ]
    template = Path(__file__).with_name("audit.html.j2")
    write_text(file, render_page(template, sections=sections, pictures=pictures, most=most, **content))


def _each_pair_once(findings: Sequence[Finding]) -> list[Finding]:
    """Return findings without repeated pairs of images: the table lists both images, the page each pair once."""
    first: dict[frozenset[int | None], Finding] = {}
    for one in findings:
        first.setdefault(frozenset((one.position, one.partner)), one)
    return list(first.values())


def _card(finding: Finding, index: ImageIndex) -> dict[str, Any]:
    """Return the template variables of a finding's card."""
    ends = [finding.position] if finding.partner is None else [finding.position, finding.partner]
    images = [
        {
            "position": position,
            "path": index.paths[position],
            "label": index.class_names[index.labels[position]],
            "split": str(index.splits[position]),
        }
        for position in ends
    ]
    return {"images": images, "detail": finding.detail, "suggested": finding.suggested, "score": finding.score}


def _picture(index: ImageIndex, position: int) -> str:
    """Return an image as a data URI, padded to a square."""
    pixels = Image.fromarray(load_image(index.file(position), SIDE, "pad", index.limits, index.value_range))
    stream = io.BytesIO()
    pixels.save(stream, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"

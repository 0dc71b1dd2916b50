"""The audit as a part of every run: its section in the data report, its sentences among the warnings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from headstart.audit.auditing import PAGE, audit_images
from headstart.config import Config
from headstart.data.exclusion import record_exclusion
from headstart.data.files.checks import DataReport
from headstart.data.index import ImageIndex

DIRECTORY = "data_report"  # of the page and the table, in that of the run
MOST = 12  # findings of each kind that are shown with their pictures


def audit_run(
    config: Config, index: ImageIndex, report: DataReport, image_size: int, output: Path
) -> tuple[dict[str, Any], list[str]]:
    """Audit the images of a run as its configuration says, and write the page where something was found.

    Args:
        config: of the run.
        index: the images, with their digests.
        report: what the check of the files found.
        image_size: of the network's input, in pixels.
        output: directory of the run; gets data_report/ and, where images were left out, a copy of their table.

    Returns:
        What data_report.json says, and the sentences for the terminal.
    """
    described, warnings = report.to_dict(), report.warnings()
    if config.dataset.exclude is not None:
        described["excluded"] = record_exclusion(config.dataset.exclude, output / DIRECTORY)
    if config.audit != "off":
        if config.audit == "full":
            _start_tensorflow(config)
        found = audit_images(config, index, config.audit, image_size)
        described["audit"] = found.to_dict()
        warnings = [*warnings, *found.warnings(f"{DIRECTORY}/{PAGE}")]
        found.write(output / DIRECTORY, config.dataset.name, MOST)
    return {**described, "warnings": warnings}, warnings


def _start_tensorflow(config: Config) -> None:
    from headstart.core.tensorflow_import import import_tensorflow

    import_tensorflow()
    from headstart.training.hardware import prepare_devices, seed_everything

    prepare_devices()
    seed_everything(config.seed, config.deterministic, "float32")

"""Audits the images of every run: adds a section to the data report, and warnings."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from typing import Any

from headstart.audit.auditing import PAGE, audit_images
from headstart.config import Config
from headstart.core.workers import REPORTS, begin
from headstart.data.exclusion import record_exclusion
from headstart.data.files.checks import DataReport
from headstart.data.index import ImageIndex

DIRECTORY = "data_report"  # for the page and the table, in the run's directory
MAX_SHOWN = 12  # findings of each kind with their images on the page


def prepare_audit() -> None:
    """Import what an audit without a network needs, which takes longer than auditing a small data set."""
    import sklearn.model_selection
    import sklearn.tree  # noqa: F401


def begin_audit(
    config: Config, index: ImageIndex, report: DataReport, image_size: int, output: Path
) -> Future[tuple[dict[str, Any], list[str]]]:
    """Begin `audit_run`, in the command's worker if it has one and the audit needs no network.

    The future has its result or its error.
    """
    if config.audit == "full":  # starts TensorFlow, in this process
        made: Future[tuple[dict[str, Any], list[str]]] = Future()
        made.set_result(audit_run(config, index, report, image_size, output))
        return made
    return begin(REPORTS, audit_run, config, index, report, image_size, output)


def audit_run(
    config: Config, index: ImageIndex, report: DataReport, image_size: int, output: Path
) -> tuple[dict[str, Any], list[str]]:
    """Audit the images of a run at its configured level, and write the page and the table.

    Args:
        config: of the run.
        index: the images, with their digests.
        report: of the check of the files.
        image_size: of the network's input, in pixels.
        output: directory of the run, for data_report/ with, if images are excluded, a copy of their table.

    Returns:
        The content of data_report.json, and the warnings for the terminal.
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
        found.write(output / DIRECTORY, config.dataset.name, MAX_SHOWN)
    return {**described, "warnings": warnings}, warnings


def _start_tensorflow(config: Config) -> None:
    from headstart.core.tensorflow_import import import_tensorflow

    import_tensorflow()
    from headstart.training.hardware import prepare_devices, seed_everything

    prepare_devices()
    seed_everything(config.seed, config.deterministic, "float32")

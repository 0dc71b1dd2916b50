"""What the jobs of a sweep left behind: which are done, which were interrupted, where the next one may write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from headstart.config import Config
from headstart.files import write_json
from headstart.identity import config_hash
from headstart.resuming import is_of_same_images, unfinished_results
from headstart.runs import CHECKPOINT, RUNNING, read_results


def find_finished(sweep: Path, config: Config) -> tuple[Path, dict[str, Any]] | None:
    """Return the finished job of a sweep with the same configuration on the same images, if there is one.

    Args:
        sweep: directory of the sweep.
        config: the job's resolved configuration.
    """
    digest = config_hash(config)
    for file in sorted(sweep.glob("*/results.json")):
        results = read_results(file.parent)
        same = results is not None and results["status"] == "FINISHED" and results.get("config_hash") == digest
        # The images are looked at only where everything else is the same.
        if results and same and is_of_same_images(results, config):
            return file.parent, results
    return None


def free_directory(preferred: Path, config: Config) -> Path:
    """Return a directory that a job may write to: the preferred one unless another job's results are there.

    Args:
        preferred: the directory that Hydra gave the job.
        config: the job's resolved configuration.
    """
    digest = config_hash(config)
    results = read_results(preferred)
    finished = results is not None and results["status"] == "FINISHED"  # of other images, else it would be found
    # A run that died before it knew its configuration or its images left nothing to keep.
    another = results is not None and (
        finished or results.get("config_hash", digest) != digest or not is_of_same_images(results, config)
    )
    if another:
        number = 1
        while (directory := preferred.with_name(f"{preferred.name}-{digest[:8]}-{number}")).exists():
            again = read_results(directory)
            if again is None or again["status"] != "FINISHED":
                break
            number += 1
        directory.mkdir(parents=True, exist_ok=True)
        return directory
    return preferred


def can_go_on(directory: Path, config: Config) -> bool:
    """Return whether a job that did not finish can be gone on with: its training was saved, on the same images.

    Args:
        directory: of the job, whose run in it has the configuration.
        config: the job's resolved configuration.
    """
    before = unfinished_results(directory)
    if not (directory / CHECKPOINT).exists() or before.get("config_hash") != config_hash(config):
        return False
    return is_of_same_images(before, config)


def mark_interrupted(sweep: Path) -> list[Path]:
    """Mark the runs of a sweep that a process left without a word, as KILLED, here and in the tracking store.

    Args:
        sweep: directory of the sweep; nothing of it may be under way.
    """
    interrupted = sorted(file.parent for file in sweep.glob(f"*/{RUNNING}"))
    for directory in interrupted:
        mark_dead(directory, "KILLED", "The process that ran it was killed.")
    return interrupted


def mark_dead(directory: Path, status: str, reason: str) -> None:
    """Mark a run whose process died, here and in the tracking store.

    Args:
        directory: of the run, with its `running.json`.
        status: `KILLED`, or `FAILED` where the process died by itself.
        reason: a sentence.
    """
    from headstart.tracking import continue_run, record_tracking

    running = json.loads((directory / RUNNING).read_text(encoding="utf-8"))
    write_json(directory / "results.json", {**running, "status": status, "error": reason})
    run = continue_run(directory)
    if run is not None:
        run.explain(reason, reason)
        run.end(status)
        run.close()
        record_tracking(directory)
    (directory / RUNNING).unlink()

"""The workers of a command that runs one experiment: one for its audit and figures, one for what it tracks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from headstart.audit.in_run import prepare_audit
from headstart.config import Config
from headstart.core.workers import REPORTS, worker
from headstart.evaluation.writing import import_matplotlib
from headstart.tracking import store_uri, tracking_worker


@contextmanager
def command_workers(config: Config) -> Iterator[None]:
    """Give a run workers within this context, which are of use if there is more than one processor.

    The jobs of a sweep have none: their processes have imported everything, and share the processors.

    Args:
        config: of the run.

    Raises:
        HeadstartError: as `store_uri`.
    """
    with ExitStack() as workers:
        if _processors() > 1:
            if not config.find_lr:  # which tracks nothing
                workers.enter_context(tracking_worker(store_uri(config.tracking)))
            workers.enter_context(worker(REPORTS, prepare_audit if config.audit == "quick" else import_matplotlib))
        yield


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

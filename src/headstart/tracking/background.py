"""Sends a run's journal from a background thread: an unreachable server never blocks training."""

from __future__ import annotations

import logging
import threading
import traceback

from headstart.core.console import console
from headstart.tracking.in_worker import send_journal
from headstart.tracking.journal import Journal
from headstart.tracking.store import StoreUnavailable

LOG = logging.getLogger(__name__)
SEND_INTERVAL = 1.0  # seconds; so the MLflow page of a running run is at most this far behind
RETRY_INTERVALS = (2.0, 10.0, 30.0)  # seconds, after the first, second and every further failure
INTERRUPT_TIMEOUT = 5.0  # seconds that an interrupted run waits for an unreachable store


class BackgroundSender(threading.Thread):
    """Sends a journal's entries as they are added, and retries while the store is unreachable."""

    def __init__(self, journal: Journal) -> None:
        """Create the thread; `start` starts it.

        Args:
            journal: must not be sent by anything else at the same time.
        """
        super().__init__(name="tracking", daemon=True)  # an unreachable store must not keep the process alive
        self.journal = journal
        self.failed_attempts = 0  # since the store last answered
        self._finishing = threading.Event()

    def run(self) -> None:
        """Send until `finish` is called, then send the rest, giving up at the first failure."""
        try:
            while True:
                last = self._finishing.is_set()
                sent = self._attempt()
                if last or (self._finishing.is_set() and not sent):
                    return
                step = min(self.failed_attempts, len(RETRY_INTERVALS)) - 1
                self._finishing.wait(SEND_INTERVAL if sent else RETRY_INTERVALS[step])
        except Exception:  # a bug here must not end the training; the journal keeps every entry
            console.print("  Warning: headstart stopped sending to the tracking store after this error:")
            LOG.exception("stopped sending to the tracking store")
            traceback.print_exc()

    def finish(self, hurry: bool = False) -> None:
        """Send the remaining entries, with one more attempt if the store was unreachable, and stop the thread.

        Args:
            hurry: give up after INTERRUPT_TIMEOUT if the store is unreachable.
        """
        self._finishing.set()
        self.join(INTERRUPT_TIMEOUT if hurry and self.failed_attempts else None)

    def _attempt(self) -> bool:
        """Send the pending entries and return whether the store took them; warn at the second failure in a row."""
        try:
            send_journal(self.journal)
        except StoreUnavailable as away:
            self.failed_attempts += 1
            LOG.warning("the tracking store %s does not answer: %s", self.journal.header["uri"], away.reason)
            if self.failed_attempts == 2:
                console.print(
                    f"  Warning: the tracking store {self.journal.header['uri']} does not answer ({away.reason}). "
                    f"Training continues; logged data is kept in {self.journal.file.parent} until the store is back",
                    markup=False,
                )
            return False
        if self.failed_attempts >= 2:
            console.print("  The tracking store answers again and has everything logged so far")
        self.failed_attempts = 0
        return True

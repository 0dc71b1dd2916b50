"""Sending beside the training, which a tracking server that is slow, hangs or is gone never holds up."""

from __future__ import annotations

import logging
import threading
import traceback

from headstart.core.console import console
from headstart.tracking.journal import Journal
from headstart.tracking.sending import send
from headstart.tracking.store import StoreUnavailable

LOG = logging.getLogger(__name__)
SECONDS_BETWEEN_SENDINGS = 1.0  # a page that is looked at while a run trains is no older
SECONDS_BETWEEN_ATTEMPTS = (2.0, 10.0, 30.0)  # where the store does not answer; the last one again and again
SECONDS_OF_HURRY = 5.0  # that a run which is interrupted waits for a store that hangs


class BackgroundSender(threading.Thread):
    """Sends what is in a journal while more is added to it, and tries again where the store does not answer."""

    def __init__(self, journal: Journal) -> None:
        """Prepare; `start` begins.

        Args:
            journal: nobody else sends from it meanwhile.
        """
        super().__init__(name="tracking", daemon=True)  # a store that hangs does not keep the process alive
        self.journal = journal
        self.failed_attempts = 0  # since the store answered
        self._finishing = threading.Event()

    def run(self) -> None:
        """Send until `finish` is called and everything is sent, or the store does not answer then."""
        try:
            while True:
                last = self._finishing.is_set()
                sent = self._attempt()
                if last or (self._finishing.is_set() and not sent):
                    return
                steps = SECONDS_BETWEEN_ATTEMPTS
                pause = SECONDS_BETWEEN_SENDINGS if sent else steps[min(self.failed_attempts, len(steps)) - 1]
                self._finishing.wait(pause)
        except Exception:  # a bug, which costs nobody a training; what is logged waits
            console.print("  Warning: no more is sent to the tracking store, after this error:")
            LOG.exception("no more is sent to the tracking store")
            traceback.print_exc()

    def finish(self, hurry: bool = False) -> None:
        """Send what waits, once more where the store did not answer, and end.

        Args:
            hurry: not to wait for a store that does not answer now.
        """
        self._finishing.set()
        self.join(SECONDS_OF_HURRY if hurry and self.failed_attempts else None)

    def _attempt(self) -> bool:
        """Send what waits and return whether the store took it; an outage is said when it is no hiccup."""
        try:
            send(self.journal)
        except StoreUnavailable as away:
            self.failed_attempts += 1
            LOG.warning("the tracking store %s does not answer: %s", self.journal.header["uri"], away.reason)
            if self.failed_attempts == 2:
                console.print(
                    f"  Warning: the tracking store {self.journal.header['uri']} does not answer ({away.reason}). The "
                    f"run goes on; what it logs waits in {self.journal.file.parent}",
                    markup=False,
                    soft_wrap=True,
                )
            return False
        if self.failed_attempts >= 2:
            console.print("  The tracking store answers again and has all that waited", markup=False, soft_wrap=True)
        self.failed_attempts = 0
        return True

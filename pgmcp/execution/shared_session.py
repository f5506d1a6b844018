"""Handles servers whose connections all share one session, so one statement blocks all calls (PGlite)."""

import logging
from collections.abc import Callable, Iterable

from pgmcp.errors import BusyError
from pgmcp.execution.worker_process import WorkerProcess
from worker.protocol import SHARED_SESSION

logger = logging.getLogger(__name__)


class SharedSession:
    """Finds out whether connections share a session, and remembers that a statement there was given up.

    Args:
        database: the database's name in the settings, for messages.
        next_id: returns an id for a request to a worker.
        clock: returns monotonic seconds.
    """

    def __init__(self, database: str, next_id: Callable[[], int], clock: Callable[[], float]) -> None:
        self._database = database
        self._next_id = next_id
        self._clock = clock
        self._given_up_at_s: float | None = None

    @property
    def is_held_up(self) -> bool:
        """Whether a statement that was given up may still run."""
        return self._given_up_at_s is not None

    def note_given_up(self) -> BusyError:
        """Note a statement that was given up; return the error for calls that would wait behind it."""
        if self._given_up_at_s is None:
            self._given_up_at_s = self._clock()
        return self.refusal()

    def note_answer(self) -> None:
        """Note that the server answered a new connection, so no statement runs any more."""
        self._given_up_at_s = None

    def refusal(self) -> BusyError:
        """Return the error for a call while a statement that was given up may still run."""
        age_s = self._clock() - (self._given_up_at_s or self._clock())
        return BusyError(
            f"a statement was given up {age_s:.0f} s ago and may still run; this server has one session for"
            " all connections, so no call is answered until the statement ends",
            retry_after_s=2,
        )

    def compare(self, worker: WorkerProcess, workers: Iterable[WorkerProcess]) -> None:
        """Compare a worker's new connection with those of the others; does nothing for an old connection.

        Workers whose connections share a session get a `ShareSession`. From then on, they leave no settings
        in the session, and do not end what other clients use.
        """
        if not worker.has_connected:
            return
        worker.has_connected = False
        if not worker.session:
            return
        same = [
            other
            for other in workers
            if other is not worker and other.is_running and other.session == worker.session
        ]
        if not same:
            return
        logger.warning(
            "all connections to %s share one session: pgmcp leaves the state of other clients in it; a "
            "statement that cannot be stopped blocks all calls",
            self._database,
        )
        for each in (worker, *same):
            if each.pooler != SHARED_SESSION:
                each.share_session(self._next_id())

"""Sends questions of tool calls to the host in the session era, and takes its responses."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any, Final

from pgmcp.transport.messages import is_response, notification

ELICIT: Final = "elicitation/create"


class Questions:
    """Requests that the host has not answered yet.

    Args:
        send: writes a message as a line.
    """

    def __init__(self, send: Callable[[Any], None]) -> None:
        self._send = send
        self._numbers = itertools.count(1)
        self._open: dict[str, asyncio.Future[Any]] = {}

    async def elicit(self, params: dict[str, Any]) -> Any:
        """Ask the host for a person's answer, and return its result; None if the host responds with an error.

        If the call is cancelled or times out, the host is notified that the question is withdrawn.
        """
        request_id = f"question-{next(self._numbers)}"
        answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._open[request_id] = answered
        self._send({"jsonrpc": "2.0", "id": request_id, "method": ELICIT, "params": params})
        try:
            return await answered
        except asyncio.CancelledError:
            reason = {"requestId": request_id, "reason": "the question is withdrawn"}
            self._send(notification("notifications/cancelled", reason))
            raise
        finally:
            del self._open[request_id]

    def take(self, message: Any) -> bool:
        """Process a message if it is a response of the host; return whether it is."""
        if not is_response(message):
            return False
        request_id = message.get("id")
        answered = self._open.get(request_id) if isinstance(request_id, str) else None
        if answered is not None and not answered.done():
            answered.set_result(message.get("result"))
        return True

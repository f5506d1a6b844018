"""Asks a person which reading of a question is meant, if the host can show a form.

    up to version 2025-11-25   the tool call waits, while the server sends `elicitation/create` to the host
    version 2026-07-28         the tool call ends with `input_required`; the host calls again, with the
                               person's answer and the encrypted state, which contains the SQL of each
                               reading, so the model is not asked again

Only `accept` with the title of a reading counts as a choice. Some hosts decline without asking, cancel
without showing a form, or accept an empty form. In these cases the tool's reply uses the usual reading and
lists the others. A host that gives no answer, or answers without a choice too fast for a person, is not asked
again for `PAUSE_S`.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pgmcp.surface.caller import Caller
from pgmcp.surface.reply import ToolReply

if TYPE_CHECKING:
    from pgmcp.fleet.encryption import Encryptor
    from pgmcp.pipeline.choice import Choice

ASKING_TOOL: Final = "query"
"""The tool whose calls may ask."""

STATE_LIFETIME_S: Final = 600.0
"""Maximum time for a person's answer in version 2026-07-28."""

MIN_ANSWER_TIME_S: Final = 1.0
"""An answer without a choice in less time comes from the host itself, not from a person."""

PAUSE_S: Final = 600.0
"""How long pgmcp asks nothing of a host that gave no answer, or that answered without asking a person."""

_MAX_PAUSED_HOSTS: Final = 1_000
_FIELD: Final = "reading"
_REQUEST_KEY: Final = "reading"
_MESSAGE: Final = "The question can be read in several ways. Which one is meant?"
_WAITING: Final = "waiting for your choice"


class Asker:
    """Asks the hosts of one server.

    Args:
        timeout_s: how long a call waits for an answer (up to version 2025-11-25). With 0, nobody is asked, in
            any version of the protocol.
        keys: keys that decrypt the state; the first one also encrypts it. Without keys, a random key is made,
            which is enough if one server answers all calls.
        clock: returns monotonic seconds, which measure how fast a host answers.
        now: returns the Unix time in seconds. A state contains it, because another server of a fleet may
            check how old the state is.
    """

    def __init__(
        self,
        *,
        timeout_s: float,
        keys: Sequence[str] = (),
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._timeout_s = timeout_s
        self._keys = keys
        self._clock = clock
        self._now = now
        self._encryptor: Encryptor | None = None
        self._paused_until_s: OrderedDict[tuple[str | None, str], float] = OrderedDict()

    def may_ask(self, caller: Caller) -> bool:
        """Return whether a person may be asked in this call."""
        channel = caller.channel
        if channel is None or channel.is_repeated or not channel.shows_forms or not self._timeout_s:
            return False
        return self._paused_until_s.get(_host_of(caller), 0.0) <= self._clock()

    async def elicit(self, choice: "Choice", caller: Caller) -> str | None:
        """Ask while the call waits, and return the chosen title; None if none was chosen in time."""
        if caller.channel is None or caller.channel.elicit is None:
            return None
        if caller.report is not None:
            caller.report(_WAITING)
        began_at_s = self._clock()
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await caller.channel.elicit(_form(choice))
        except TimeoutError:
            self._pause_asking(caller)
            return None
        return self._chosen(choice, answer, self._clock() - began_at_s, caller)

    async def request_input(self, choice: "Choice", arguments: msgspec.Struct, caller: Caller) -> ToolReply:
        """Return the result that makes a host ask and call again with the same arguments."""
        state = msgspec.json.encode((choice, self._now()))
        encryptor = await asyncio.to_thread(self._loaded_encryptor)
        encrypted = encryptor.encrypt(state, bound_to=_binding(arguments, caller))
        request = {"method": "elicitation/create", "params": _form(choice)}
        return ToolReply(
            (), input_required={"inputRequests": {_REQUEST_KEY: request}, "requestState": encrypted.hex()}
        )

    async def resume(self, arguments: msgspec.Struct, caller: Caller) -> "tuple[Choice, str | None] | None":
        """Return the choice of a repeated call, with the chosen title or None for the usual reading.

        Return None for a first call, or if the state was not encrypted for this caller and these arguments.
        """
        channel = caller.channel
        if channel is None or not isinstance(channel.state, str):
            return None
        state = await self._open(channel.state, arguments, caller)
        if state is None:
            return None
        choice, asked_at_s = state
        elapsed_s = self._now() - asked_at_s
        if not 0 <= elapsed_s <= STATE_LIFETIME_S:
            return choice, None
        answers = channel.responses
        answer = answers.get(_REQUEST_KEY) if isinstance(answers, Mapping) else None
        return choice, self._chosen(choice, answer, elapsed_s, caller)

    async def _open(
        self, encrypted: str, arguments: msgspec.Struct, caller: Caller
    ) -> "tuple[Choice, float] | None":
        """Return the choice, and the Unix time in seconds at which the host was asked to show it."""
        from pgmcp.fleet.encryption import NotDecryptedError
        from pgmcp.pipeline.choice import Choice

        encryptor = await asyncio.to_thread(self._loaded_encryptor)
        try:
            opened = encryptor.decrypt(bytes.fromhex(encrypted), bound_to=_binding(arguments, caller))
            return msgspec.json.decode(opened, type=tuple[Choice, float])
        except (NotDecryptedError, ValueError, msgspec.DecodeError):
            return None

    def _loaded_encryptor(self) -> "Encryptor":
        if self._encryptor is None:
            import secrets

            from pgmcp.fleet.encryption import Encryptor

            self._encryptor = Encryptor(
                self._keys or (secrets.token_urlsafe(32),), purpose=b"pgmcp: readings"
            )
        return self._encryptor

    def _chosen(self, choice: "Choice", answer: Any, elapsed_s: float, caller: Caller) -> str | None:
        match answer:
            case {"action": "accept", "content": {"reading": str(title)}} if title in choice.titles:
                return title
        if elapsed_s < MIN_ANSWER_TIME_S:
            self._pause_asking(caller)
        return None

    def _pause_asking(self, caller: Caller) -> None:
        host = _host_of(caller)
        self._paused_until_s[host] = self._clock() + PAUSE_S
        self._paused_until_s.move_to_end(host)
        if len(self._paused_until_s) > _MAX_PAUSED_HOSTS:
            self._paused_until_s.popitem(last=False)


def _form(choice: "Choice") -> dict[str, Any]:
    """Return the parameters of `elicitation/create`, in the form that all versions of the protocol know."""
    field = {"type": "string", "title": "Reading", "enum": list(choice.titles)}
    schema = {"type": "object", "properties": {_FIELD: field}, "required": [_FIELD]}
    return {"message": _MESSAGE, "requestedSchema": schema}


def _binding(arguments: msgspec.Struct, caller: Caller) -> bytes:
    """Return a hash of what the state is bound to: the caller, the tool and its arguments."""
    called = msgspec.json.encode(
        [type(arguments).__name__, caller.principal_id, msgspec.to_builtins(arguments)]
    )
    return sha256(called).digest()


def _host_of(caller: Caller) -> tuple[str | None, str]:
    return caller.principal_id, caller.name

"""Decides which of the two eras of the protocol a connection uses.

`pgmcp.transport` defines the eras. The first `initialize` decides, or the first valid request whose `_meta`
names the version 2026-07-28.
"""

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any, Final

from pgmcp.surface import INSTRUCTIONS, SERVER_INFO, Caller, RequestError
from pgmcp.surface.caller import (
    APPS_EXTENSION,
    ELICITATION_VERSIONS,
    Channel,
    caller_name,
    channel_of_request,
    shows_forms,
    supports_apps,
)
from pgmcp.surface.reply import INVALID_PARAMS, INVALID_REQUEST
from pgmcp.transport.messages import Request

SESSION_VERSIONS: Final = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
STATELESS_VERSION: Final = "2026-07-28"
BATCH_VERSION: Final = "2025-03-26"
"""The only version of the protocol with batches."""

NULL_ID_VERSIONS: Final = ("2024-11-05", "2025-03-26", "2025-06-18")
"""Versions whose schema requires an id in every error, so that it is null if no id can be read (JSON-RPC 2.0,
section 5).

In later versions, the id of an error is optional, and never null.
"""

UNSUPPORTED_VERSION: Final = -32022

_VERSION_KEY: Final = "io.modelcontextprotocol/protocolVersion"
_CLIENT_KEY: Final = "io.modelcontextprotocol/clientInfo"
_CAPABILITIES_KEY: Final = "io.modelcontextprotocol/clientCapabilities"
_SERVER_KEY: Final = "io.modelcontextprotocol/serverInfo"
LOG_LEVEL_KEY: Final = "io.modelcontextprotocol/logLevel"

# Resources change with the catalog, tools change with the operator's context file, and prompts never change.
_CAPABILITIES: Final[dict[str, Any]] = {
    "completions": {},
    "logging": {},
    "prompts": {"listChanged": False},
    "resources": {"listChanged": True, "subscribe": True},
    "tools": {"listChanged": True},
}
_NOT_CACHED: Final = {"cacheScope": "private", "ttlMs": 0}


Elicit = Callable[[dict[str, Any]], Awaitable[Any]]
"""Asks the person who uses the host; `pgmcp.surface.caller.Channel` describes it."""


class Era(Enum):
    """The era of a connection, which decides what requests it accepts; `pgmcp.transport` defines the eras."""

    UNDECIDED = "undecided"
    SESSION = "session"
    STATELESS = "stateless"


class Handshake:
    """Decides the era of one connection, and describes its host.

    Args:
        elicit: asks the person who uses the host of a session.

    Attributes:
        era: undecided until the first `initialize` or stateless request.
        caller: the host that opened the session. Before that, and in the stateless era, it has no name.
    """

    def __init__(self, elicit: Elicit) -> None:
        self._elicit = elicit
        self.era = Era.UNDECIDED
        self.caller = Caller()

    def caller_of(self, request: Request) -> Caller:
        """Return the caller of a request; the first valid request of the stateless era decides the era.

        Raises:
            RequestError: the request is not allowed in this era, its `_meta` is not valid, or its version is
                not supported.
        """
        if self.era is Era.SESSION and "_meta" not in request.params:
            return self.caller
        is_stateless = _VERSION_KEY in request.meta
        if self.era is Era.SESSION and is_stateless:
            raise RequestError(
                INVALID_REQUEST,
                "this connection was opened by initialize, so it does not accept requests of 2026-07-28",
            )
        if self.era is not Era.STATELESS and not is_stateless:
            return self.caller
        caller = self._stateless_caller(request)
        self.era = Era.STATELESS  # not before: a host of a later version may still send initialize
        return caller

    def require_open(self, method: str) -> None:
        """Raise RequestError for a request before the connection was opened, except for `ping`."""
        if self.era is Era.UNDECIDED and method != "ping":
            raise RequestError(
                INVALID_REQUEST,
                f"{method} came before the connection was opened: send initialize first, "
                f"or the _meta of {STATELESS_VERSION} with every request",
            )

    def initialize(self, request: Request) -> dict[str, Any]:
        """Open a session, and return the answer to `initialize`.

        Raises:
            RequestError: the era is the stateless one, or the request names no protocol version.
        """
        requested = text_of(request, "protocolVersion")
        if self.era is Era.STATELESS:
            raise _unsupported(
                f"this connection uses {STATELESS_VERSION}, which has no initialize", requested
            )
        version = requested if requested in SESSION_VERSIONS else SESSION_VERSIONS[-1]
        self.era = Era.SESSION
        capabilities = request.params.get("capabilities")
        can_ask = version in ELICITATION_VERSIONS and shows_forms(capabilities)
        self.caller = Caller(
            name=caller_name(request.params.get("clientInfo")),
            protocol_version=version,
            shows_apps=supports_apps(capabilities),
            channel=Channel(elicit=self._elicit) if can_ask else None,
        )
        return {
            "protocolVersion": version,
            "capabilities": _CAPABILITIES,
            "serverInfo": SERVER_INFO,
            "instructions": INSTRUCTIONS,
        }

    @staticmethod
    def _stateless_caller(request: Request) -> Caller:
        missing = [key for key in (_VERSION_KEY, _CAPABILITIES_KEY) if key not in request.meta]
        if missing:
            raise RequestError(
                INVALID_PARAMS, f"params._meta lacks what {STATELESS_VERSION} requires: {', '.join(missing)}"
            )
        version = request.meta[_VERSION_KEY]
        if not isinstance(version, str):
            raise RequestError(INVALID_PARAMS, f"params._meta: {_VERSION_KEY} is not a string")
        if version != STATELESS_VERSION:
            raise _unsupported("Unsupported protocol version", version)
        capabilities = request.meta[_CAPABILITIES_KEY]
        if not isinstance(capabilities, dict):
            raise RequestError(INVALID_PARAMS, f"params._meta: {_CAPABILITIES_KEY} is not an object")
        return Caller(
            name=caller_name(request.meta.get(_CLIENT_KEY)),
            protocol_version=version,
            shows_apps=supports_apps(capabilities),
            channel=channel_of_request(capabilities, request.params),
        )


def discover(_: Request) -> dict[str, Any]:
    """Return the answer to `server/discover`."""
    return {
        "supportedVersions": [STATELESS_VERSION],
        "capabilities": _CAPABILITIES | {"extensions": {APPS_EXTENSION: {}}},
        "instructions": INSTRUCTIONS,
    }


def with_required_members(method: str, result: dict[str, Any]) -> dict[str, Any]:
    """Return a result with the members that 2026-07-28 requires."""
    meta = {**result.get("_meta", {}), _SERVER_KEY: SERVER_INFO}
    cache = _NOT_CACHED if method.endswith(("/list", "/read", "/discover")) else {}
    return {"resultType": "complete", **result, **cache, "_meta": meta}


def _unsupported(message: str, requested: str) -> RequestError:
    data = {"supported": [STATELESS_VERSION], "requested": requested[:100]}
    return RequestError(UNSUPPORTED_VERSION, message, data)


def text_of(request: Request, name: str) -> str:
    """Return a parameter that must be a string.

    Raises:
        RequestError: it is missing, or is not a string.
    """
    value = request.params.get(name)
    if not isinstance(value, str):
        raise RequestError(INVALID_PARAMS, f"params.{name}: expected a string")
    return value

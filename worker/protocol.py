"""Defines the frames that the front (pgmcp's main process) and a worker exchange.

    ┌──────────────┬────────────┬──────────────────────┬───────────────┐
    │ header bytes │ body bytes │ header: one message, │ body:         │
    │ uint32 BE    │ uint32 BE  │ MessagePack          │ SQL, or rows  │
    └──────────────┴────────────┴──────────────────────┴───────────────┘

The header is small and always decoded; the body is sent unchanged. A worker answers each Open, Execute and
Terminate with exactly one reply that has the request's id. A Connected comes before the reply if the worker
has a new connection.

    front                                        worker
      Open ─────────────────────────────────────▶  connects
      ◀──────────────── (Connected)  Opened | Failure
      Execute + SQL ────────────────────────────▶  runs one statement
      ◀──────────────── (Connected)  Result + rows | Failure
      Cancel ───────────────────────────────────▶  has no reply of its own
      Terminate ────────────────────────────────▶  ends the backend of a killed worker
      ◀──────────────── (Connected)  Terminated | Failure
      ShareSession ─────────────────────────────▶  has no reply

Importing this module does not load psycopg, so the front can import it.
"""

import struct
from enum import StrEnum
from typing import Final, Literal

import msgspec

HEAD: Final = struct.Struct("!II")
"""Header length and body length, in bytes."""

MAX_HEADER_BYTES: Final = 1 << 20
"""Enough for the names and types of 1,664 columns, PostgreSQL's limit for a result, at 63 bytes a name."""

MAX_BODY_BYTES: Final = 1 << 30
"""Far above any limit of a result; a larger length means that the peer is broken."""


class ProtocolError(Exception):
    """The peer sent something that is not a frame of this protocol."""


class FailureCode(StrEnum):
    """Why a request gave no result.

    - DENIED: the role lacks a privilege that every statement of the worker needs.
    - IDENTITY: the login role cannot take the role of `Execute.identity`.
    - DISCONNECTED: the worker has lost its connection and may not open another one; the statement has not
      run.
    - LIMITED: a limit of connections is reached, of the server, the role, the database or a pooler; the
      statement has not run.
    """

    STATEMENT = "statement"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    UNREACHABLE = "unreachable"
    AUTH = "auth"
    DENIED = "denied"
    IDENTITY = "identity"
    TOO_LARGE = "too_large"
    DISCONNECTED = "disconnected"
    LIMITED = "limited"


class StatementMode(StrEnum):
    """Whether a row limit can be put around a statement."""

    WRAPPABLE = "wrappable"
    AS_IS = "as_is"


class StatementOrigin(StrEnum):
    """Who wrote a statement, which decides how its names are resolved.

    - CALLER: a person or a model. Names are resolved through the search_path of the role or database.
    - OWN: pgmcp. The statement is read-only regardless of the settings, and unqualified names are looked up
      in pg_catalog alone, so that no object of the database can replace a built-in one.
    """

    CALLER = "caller"
    OWN = "own"


CALLER_SCHEMAS_SETTING: Final = "pgmcp.schemas"
"""A setting that OWN statements can read: the schemas in which a CALLER's names are looked up.

The value is a JSON array, in order, without the implicit pg_catalog.
"""

SHARED_SESSION: Final = "one session for all connections"
"""`Connected.pooler` of a server without a backend per connection, such as PGlite."""

Truncated = Literal["rows", "bytes"]
"""The limit that cut a result."""


class Backend(msgspec.Struct, frozen=True):
    """Identifies one server process: a pid alone may have been reused.

    Attributes:
        pid: as in pg_stat_activity.
        started: the backend_start of the session, as PostgreSQL writes it.
    """

    pid: int
    started: str


class Open(msgspec.Struct, tag=True, frozen=True):
    """The first frame: where to connect. It is the only frame with credentials.

    Attributes:
        conninfo: a libpq URL or key=value string; may be empty.
        params: libpq parameters that are added to the conninfo.
        connect_timeout_s: timeout for each host, unless the conninfo or PGCONNECT_TIMEOUT has another one.
        memory_limit_mb: limit of the worker's address space in mebibytes; 0 sets no limit.
        reconnects: whether the worker may replace its connection by itself; False if a new connection needs a
            password or a tunnel's port from the front.
        statement_timeout_ms: the statement_timeout of the session; a statement with another timeout sets its
            own.
    """

    id: int
    conninfo: str
    params: dict[str, str]
    connect_timeout_s: int
    memory_limit_mb: int
    reconnects: bool = True
    statement_timeout_ms: int = 30_000

    def __repr__(self) -> str:
        return f"Open(id={self.id}, conninfo=…)"


class Identity(msgspec.Struct, frozen=True):
    """The role and settings of the caller that a statement runs for.

    Attributes:
        role: the role of the transaction; "" keeps the login role. Never "none", which PostgreSQL takes for
            the login role.
        settings: names and values of settings for the transaction, which row policies can read.
        application_name: the name for the statement, in printable ASCII; "" for the connection's own.
        keeps_name: whether the session may keep that name for the statements that follow.
    """

    role: str
    settings: tuple[tuple[str, str], ...] = ()
    application_name: str = ""
    keeps_name: bool = False

    def __repr__(self) -> str:
        return f"Identity(role={self.role!r}, …)"


class Execute(msgspec.Struct, tag=True, frozen=True):
    """Run the statement in the body, in a transaction that is always rolled back.

    Attributes:
        origin: who wrote the statement. It has no default, so that the code of an own statement cannot omit
            it.
        statement_timeout_ms: PostgreSQL's statement_timeout; 0 is not allowed.
        max_rows, max_bytes, max_cell_bytes: limits of the result (`pgmcp.execution.result.RowLimits`).
        read_only: whether to use BEGIN READ ONLY; False if the operator switched it off. pgmcp's own
            statements are always read-only.
        max_text_bytes: bytes of text after which rows are written only as JSON; 0 writes no text.
        identity: the caller's role, settings and application_name; None keeps those of the connection.
    """

    id: int
    origin: StatementOrigin
    mode: StatementMode
    statement_timeout_ms: int
    max_rows: int
    max_bytes: int
    max_cell_bytes: int
    read_only: bool
    max_text_bytes: int = 0
    identity: Identity | None = None


class Cancel(msgspec.Struct, tag=True, frozen=True):
    """Stop the request with this id if it is still running."""

    id: int


class Terminate(msgspec.Struct, tag=True, frozen=True):
    """End a backend that a killed worker left behind."""

    id: int
    backend: Backend


class ShareSession(msgspec.Struct, tag=True, frozen=True):
    """Another connection has the same session: leave no settings in it, and end nothing that others use."""

    id: int


class Opened(msgspec.Struct, tag=True, frozen=True):
    """The worker has a connection."""

    id: int


class Connected(msgspec.Struct, tag=True, frozen=True):
    """The worker has a new connection. Sent before the reply to the first request that uses it.

    Attributes:
        backend: None if a connection pooler hides it, or the role may not read when it started.
        server_version: as libpq gives it: 180006 is 18.6.
        pooler: the pooler in front of the server, or SHARED_SESSION; "" for a direct connection.
        escapes_backslashes: whether standard_conforming_strings is off for the role, so that plain strings of
            other clients contain escapes. It is on in pgmcp's transactions.
        session: identifies the session; equal for connections that share it. "" behind a pooler.
    """

    backend: Backend | None
    server_version: int
    pooler: str = ""
    session: str = ""
    escapes_backslashes: bool = False


class Result(msgspec.Struct, tag=True, frozen=True):
    """The rows are in the body, as lines of `worker.row_format`: first JSON, then text.

    Attributes:
        columns: a name and a type name per column.
        truncated: the limit that cut the result; None if the rows are complete.
        cut_cells: cells that were longer than max_cell_bytes.
        elapsed_ms: time from sending the statement to its last row.
        should_recycle: whether the worker asks to be replaced (`worker.process.RecyclePolicy`).
        row_count: number of lines of JSON.
        json_bytes: length of the rows as JSON; the rest of the body is text.
        text_rows: number of lines of text, which contain the leading rows.
    """

    id: int
    columns: list[tuple[str, str]]
    truncated: Truncated | None
    cut_cells: int
    elapsed_ms: float
    should_recycle: bool = False
    row_count: int = 0
    json_bytes: int = 0
    text_rows: int = 0


class Terminated(msgspec.Struct, tag=True, frozen=True):
    """The answer to `Terminate`.

    Attributes:
        is_gone: whether the backend is known to have ended.
    """

    id: int
    is_gone: bool = True


class Failure(msgspec.Struct, tag=True, frozen=True):
    """The request failed.

    Attributes:
        message: PostgreSQL's primary message, or libpq's; never a password.
        sqlstate: five characters, or "" if the error is not the server's.
        position: 0-based character offset in the statement as the front sent it, or None.
        limit: the limit of the server or a pooler that ended the statement, such as "statement_timeout = 1s,
            set for the role"; "" if another limit or no limit ended it.
    """

    id: int
    code: FailureCode
    message: str
    sqlstate: str = ""
    hint: str = ""
    position: int | None = None
    limit: str = ""


ToWorker = Open | Execute | Cancel | Terminate | ShareSession
Reply = Opened | Result | Terminated | Failure
FromWorker = Reply | Connected

_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError)
_encoder = msgspec.msgpack.Encoder()
_to_worker: msgspec.msgpack.Decoder[ToWorker] = msgspec.msgpack.Decoder(ToWorker)
_from_worker: msgspec.msgpack.Decoder[FromWorker] = msgspec.msgpack.Decoder(FromWorker)


def encode_frame(message: ToWorker | FromWorker, body: bytes = b"") -> tuple[bytes, bytes]:
    """Return the two parts of a frame: the lengths with the header, and the body unchanged."""
    header = _encoder.encode(message)
    return HEAD.pack(len(header), len(body)) + header, body


def decode_head(head: bytes) -> tuple[int, int]:
    """Return the lengths of header and body, in bytes.

    Raises:
        ProtocolError: a length is beyond its limit, so the rest of the frame must not be read.
    """
    header_bytes, body_bytes = HEAD.unpack(head)
    if header_bytes > MAX_HEADER_BYTES or body_bytes > MAX_BODY_BYTES:
        raise ProtocolError(f"a frame of {header_bytes} + {body_bytes} bytes is too long")
    return header_bytes, body_bytes


def decode_to_worker(header: bytes) -> ToWorker:
    """Return the message for the worker; raise ProtocolError if the header is not one."""
    try:
        return _to_worker.decode(header)
    except _UNREADABLE as error:
        raise ProtocolError(str(error)) from error


def decode_from_worker(header: bytes) -> FromWorker:
    """Return the message for the front; raise ProtocolError if the header is not one."""
    try:
        return _from_worker.decode(header)
    except _UNREADABLE as error:
        raise ProtocolError(str(error)) from error

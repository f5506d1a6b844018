"""All anticipated failures, each with a stable code.

`str(error)` is safe to show to a model or a person: it never contains a password, an API key or a row. `hint`
says what to do. Each error is raised where its cause is known, and becomes a reply in
`pgmcp.surface.Surface.call_tool`, `pgmcp.surface.resources` or `pgmcp.cli.errors`.

    PgmcpError
     ├── SettingsError              settings          the settings are invalid
     ├── InvalidArgumentError       invalid_argument  a tool was called with an invalid argument
     ├── UnknownDatabaseError       unknown_database  no database of that name is configured
     ├── RateLimitedError           rate_limited      the budget of requests or tokens is spent
     ├── SharedStorageError         shared_storage    the Redis that servers share cannot be used
     ├── SqlRejectedError           rejected          the text is not one read-only statement that may run
     ├── GuardFailedError           guard_failed      a check of statements does not work on this machine
     ├── ResultGoneError            result_gone       the stored rows have expired
     ├── ExportFailedError          export_failed     rows were fetched, but no file of them could be written
     ├── ChartNotDrawnError         chart_not_drawn   a chart fits the rows, but drawing it failed
     ├── RoleRefusedError           role_refused      the database's role can do more than read
     ├── UnmappedPrincipalError     unmapped_principal  the caller has no role in the database
     ├── UnanswerableError          unanswerable      the model says that the schema has no answer
     ├── ModelError                 model_unavailable the model endpoint gave no usable answer
     │    ├── ModelNotConfiguredError  no_model       neither key nor endpoint is set
     │    ├── ModelAuthError           model_auth     the endpoint rejected the key
     │    └── ModelReplyError          model_reply    the reply was empty, a refusal, or in the wrong form
     └── ExecutionError
          ├── StatementFailedError  statement_failed  PostgreSQL refused the statement; carries its SQLSTATE
          ├── DeadlineExceededError timeout           the statement did not end before its deadline
          ├── UnreachableError      unreachable       no connection to the database
          │    └── TunnelError      tunnel            no SSH tunnel to the database
          ├── ConnectionLimitError  connection_limit  no connection became free at a limit of connections
          ├── DatabaseAuthError     auth              the database refused the credentials
          ├── TooExpensiveError     too_expensive     the planner expects more work than the operator allows
          ├── BusyError             busy              the queue for workers is full or blocked
          ├── CatalogDeniedError    catalog_denied    the role may not read required parts of the catalog
          ├── RoleNotTakenError     role_not_taken    the login role may not become the caller's role
          ├── ResultTooLargeError   result_too_large  a value, row or catalog read exceeds a limit
          └── WorkerLostError       worker_lost       the worker died or broke the protocol
"""

import errno
from enum import StrEnum
from typing import ClassVar, Final

MAX_NAME_CHARACTERS: Final = 100
"""Limit for a caller's name in a message; names in PostgreSQL have at most 63 bytes."""


class ErrorCode(StrEnum):
    """Stable names of failures, as hosts and logs see them."""

    SETTINGS = "settings"
    INVALID_ARGUMENT = "invalid_argument"
    UNKNOWN_DATABASE = "unknown_database"
    RATE_LIMITED = "rate_limited"
    SHARED_STORAGE = "shared_storage"
    REJECTED = "rejected"
    GUARD_FAILED = "guard_failed"
    RESULT_GONE = "result_gone"
    EXPORT_FAILED = "export_failed"
    CHART_NOT_DRAWN = "chart_not_drawn"
    ROLE_REFUSED = "role_refused"
    UNMAPPED_PRINCIPAL = "unmapped_principal"
    UNANSWERABLE = "unanswerable"
    MODEL_UNAVAILABLE = "model_unavailable"
    NO_MODEL = "no_model"
    MODEL_AUTH = "model_auth"
    MODEL_REPLY = "model_reply"
    STATEMENT_FAILED = "statement_failed"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    TUNNEL = "tunnel"
    CONNECTION_LIMIT = "connection_limit"
    AUTH = "auth"
    TOO_EXPENSIVE = "too_expensive"
    BUSY = "busy"
    CATALOG_DENIED = "catalog_denied"
    ROLE_NOT_TAKEN = "role_not_taken"
    RESULT_TOO_LARGE = "result_too_large"
    WORKER_LOST = "worker_lost"


class PgmcpError(Exception):
    """An anticipated failure; `str()` is safe to show.

    Attributes:
        hint: what the reader can do; empty if the message already says it.
        database: the configured database that it is about, if there are several; set by the pipeline.
    """

    code: ClassVar[ErrorCode]

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
        self.database = ""


class SettingsError(PgmcpError):
    """The settings are invalid; the message names the variable and the allowed values."""

    code = ErrorCode.SETTINGS


class InvalidArgumentError(PgmcpError):
    """A tool was called with an invalid argument."""

    code = ErrorCode.INVALID_ARGUMENT


class UnknownDatabaseError(PgmcpError):
    """No database of that name is configured."""

    code = ErrorCode.UNKNOWN_DATABASE

    def __init__(self, name: str, known: list[str]) -> None:
        shown = name if len(name) <= MAX_NAME_CHARACTERS else name[: MAX_NAME_CHARACTERS - 1] + "…"
        super().__init__(f"no database is called {shown!r}", hint=f"databases: {', '.join(known)}")
        self.name = name


class RateLimitedError(PgmcpError):
    """A budget of requests or tokens is spent.

    Attributes:
        retry_after_s: seconds until the call can be tried again; None if it can never fit the budget.
    """

    code = ErrorCode.RATE_LIMITED

    def __init__(self, budget: str, retry_after_s: float | None) -> None:
        hint = "waiting does not help: ask for less, or have the operator raise the limit"
        if retry_after_s is not None:
            hint = f"try again in {retry_after_s:.0f} s"
        super().__init__(f"rate limit reached ({budget})", hint=hint)
        self.retry_after_s = retry_after_s


class SharedStorageError(PgmcpError):
    """The Redis that the servers of a fleet share cannot be used."""

    code = ErrorCode.SHARED_STORAGE

    def __init__(self) -> None:
        super().__init__(
            "the storage that the servers share cannot be used",
            hint=(
                "try again in a minute; if the error persists, the operator should check Redis and the "
                "server's log"
            ),
        )


class SqlRejectedError(PgmcpError):
    """The text is not exactly one read-only statement that the caller may run.

    Attributes:
        offending: the part of the statement that was refused; "" for the whole statement.
        position: 0-based character offset of that part in the statement, if known.
        sql: the statement that the position refers to; set by the pipeline.
    """

    code = ErrorCode.REJECTED

    def __init__(
        self, message: str, *, hint: str = "", offending: str = "", position: int | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.offending = offending
        self.position = position
        self.sql = ""


class GuardFailedError(PgmcpError):
    """A check of statements gives wrong results in this environment, so no statement may run."""

    code = ErrorCode.GUARD_FAILED

    def __init__(self, guard: str, *, hint: str) -> None:
        super().__init__(f"a guard does not work in this environment: {guard}", hint=hint)


class ResultGoneError(PgmcpError):
    """The requested result is not stored, or no longer stored."""

    code = ErrorCode.RESULT_GONE


FULL_DISK_ERRORS: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Values of `errno` that mean a full disk or a used-up quota."""


class ExportFailedError(PgmcpError):
    """The rows could not be written to a file; no partial file is left."""

    code = ErrorCode.EXPORT_FAILED


class ChartNotDrawnError(PgmcpError):
    """A chart could not be drawn; the answer is complete without it."""

    code = ErrorCode.CHART_NOT_DRAWN


class RoleRefusedError(PgmcpError):
    """The database's role can do more than read, and the settings forbid that."""

    code = ErrorCode.ROLE_REFUSED


class UnmappedPrincipalError(PgmcpError):
    """The settings give the caller no role in the database, and there is no default role."""

    code = ErrorCode.UNMAPPED_PRINCIPAL


class UnanswerableError(PgmcpError):
    """The model says that the schema has no answer; the message is its reason."""

    code = ErrorCode.UNANSWERABLE


class ModelError(PgmcpError):
    """The model endpoint gave no usable answer.

    Attributes:
        model: the model that was asked; "" if none was.
    """

    code = ErrorCode.MODEL_UNAVAILABLE

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.model = ""


class ModelNotConfiguredError(ModelError):
    """Neither key nor endpoint is set, so no SQL can be written."""

    code = ErrorCode.NO_MODEL


class ModelAuthError(ModelError):
    """The endpoint rejected the key."""

    code = ErrorCode.MODEL_AUTH


class ModelReplyError(ModelError):
    """The reply was empty, a refusal, or in the wrong form; its tokens count all the same.

    Attributes:
        tokens_in: tokens of the prompt as counted by the endpoint; 0 if it does not report them.
        tokens_out: tokens of the reply, likewise.
    """

    code = ErrorCode.MODEL_REPLY

    def __init__(self, message: str, *, hint: str = "", tokens_in: int = 0, tokens_out: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.tokens_in = tokens_in
        self.tokens_out = tokens_out


class ExecutionError(PgmcpError):
    """A statement that passed validation was not completed: it failed, was stopped, or could not start."""


class StatementFailedError(ExecutionError):
    """PostgreSQL refused the statement.

    Attributes:
        sqlstate: five characters, PostgreSQL manual, appendix A.
        position: 0-based character offset in the statement the caller sent, if PostgreSQL gave one.
        sql: that statement; set by the pipeline.
    """

    code = ErrorCode.STATEMENT_FAILED

    def __init__(self, message: str, *, sqlstate: str, hint: str = "", position: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.sqlstate = sqlstate
        self.position = position
        self.sql = ""


class DeadlineExceededError(ExecutionError):
    """The statement did not end before its deadline.

    Attributes:
        is_stopped: whether the server confirmed that the statement has ended.
    """

    code = ErrorCode.TIMEOUT

    def __init__(self, message: str, *, hint: str = "", is_stopped: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.is_stopped = is_stopped


class UnreachableError(ExecutionError):
    """No connection to the database could be made, or it broke."""

    code = ErrorCode.UNREACHABLE


class TunnelError(UnreachableError):
    """The SSH tunnel could not be opened, or it ended, or the bastion could not connect to the database."""

    code = ErrorCode.TUNNEL


class ConnectionLimitError(ExecutionError):
    """A limit of connections is reached; the message says whose: server, role, database or pooler."""

    code = ErrorCode.CONNECTION_LIMIT


class DatabaseAuthError(ExecutionError):
    """The database refused the credentials, the role may not connect, or there is no password."""

    code = ErrorCode.AUTH


class TooExpensiveError(ExecutionError):
    """The planner expects more work of a statement than the operator allows."""

    code = ErrorCode.TOO_EXPENSIVE

    def __init__(self, plan: str, *, max_cost: float) -> None:
        super().__init__(
            f"the plan costs more than {max_cost:,.0f}: {plan}",
            hint="filter on indexed columns or ask for less; the limit is PG_MCP_SERVER_MAX_COST",
        )


class BusyError(ExecutionError):
    """The queue for workers is full, for all callers or for this one, or a given-up statement blocks it.

    Attributes:
        retry_after_s: seconds after which a free place is likely.
    """

    code = ErrorCode.BUSY

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message, hint=f"try again in {retry_after_s:.0f} s")
        self.retry_after_s = retry_after_s


class CatalogDeniedError(ExecutionError):
    """PostgreSQL refused one of pgmcp's catalog statements, usually because of a missing privilege."""

    code = ErrorCode.CATALOG_DENIED


class RoleNotTakenError(ExecutionError):
    """PostgreSQL did not let the login role become the caller's role."""

    code = ErrorCode.ROLE_NOT_TAKEN


class ResultTooLargeError(ExecutionError):
    """A value, a row or a read of the catalog exceeds a limit of memory or size."""

    code = ErrorCode.RESULT_TOO_LARGE


class WorkerLostError(ExecutionError):
    """The worker died or broke the protocol, or the server is ending; the next call gets a new worker."""

    code = ErrorCode.WORKER_LOST

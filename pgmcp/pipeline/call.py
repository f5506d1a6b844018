"""Defines the data of a call: its options and limits, its database, and its state and cost so far."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from msgspec import Struct, field

from pgmcp.answers.answer import Answer, Source
from pgmcp.catalog.cache import CatalogChange
from pgmcp.catalog.catalog import Catalog
from pgmcp.catalog.hidden import HiddenRelation, find_hidden
from pgmcp.catalog.row_security import RowSecurity
from pgmcp.errors import ModelError
from pgmcp.execution.catalog_access import Fetch
from pgmcp.execution.mapped_roles import MappedRole, read_mapped_roles
from pgmcp.execution.result import Identity, RowLimits, Rows
from pgmcp.generation.completion import Completion
from pgmcp.generation.context_file import DatabaseContext
from pgmcp.generation.prompt import Attempt
from pgmcp.generation.reply import SqlReply
from pgmcp.identity import Principal
from pgmcp.pipeline.choice import Choice
from pgmcp.pipeline.protocols import CatalogSource, PolicySource, RoleGate, StatementExecutor
from pgmcp.refreshing_cache import RefreshingCache

_NO_COST: Final = Choice(question="", readings=())
_NO_CONTEXT: Final = DatabaseContext()


class Operation(StrEnum):
    """What a caller can do. The operation of a tool has the tool's name."""

    QUERY = "query"
    EXECUTE_SQL = "execute_sql"
    SEARCH_SCHEMA = "search_schema"
    REFRESH_SCHEMA = "refresh_schema"
    READ_RESOURCE = "read_resource"


class Stage(StrEnum):
    """A timed part of a call; stages do not overlap, and may occur again in a repair."""

    SCHEMA = "schema"
    PROMPT = "prompt"
    MODEL = "model"
    VALIDATE = "validate"
    PLAN = "plan"
    EXECUTE = "execute"
    CHECK = "check"


OnStage = Callable[[Stage], None]
"""Called when a stage begins, to report progress."""


class ReturnType(StrEnum):
    """The requested content of an answer to `query`."""

    RESULT = "result"
    SQL = "sql"
    BOTH = "both"


RoleCatalogListener = Callable[[str | None, Catalog | None, Catalog, CatalogChange], None]
"""A `CatalogListener` with one more argument: the role whose catalog was read, or None for the login role."""


class Identities(Protocol):
    """Gives each caller the database with the caller's rights."""

    def for_principal(self, principal: Principal | None) -> "Database":
        """Return the database with a caller's rights; raise UnmappedPrincipalError if there are none."""
        ...

    def role_of(self, principal: Principal | None) -> str:
        """Return the role of a caller; raise UnmappedPrincipalError if there is none."""
        ...

    @property
    def roles(self) -> tuple[str, ...]:
        """Every role that a caller may get."""
        ...

    def example(self) -> Principal | None:
        """Return a caller who has a role; None if callers without a token have one."""
        ...

    def for_role(self, role: str) -> "Database":
        """Return the database with a role's rights, without claims."""
        ...

    def cached_catalog(self, role: str) -> Catalog | None:
        """Return the catalog that was last read for a role; None if there is none. Never triggers a read."""
        ...

    def subscribe(self, listener: RoleCatalogListener) -> None:
        """Call `listener` after every later read of a role's catalog."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Database:
    """One configured database, and the objects that serve it.

    Attributes:
        name: the database's name in the settings.
        supervisor: runs statements.
        schema: the cached catalog.
        role: checks the role's privileges.
        functions: the policy of function calls; a new object only if the database's functions changed.
        context: returns the operator's current notes; may read a file, so do not call it on the event loop.
        row_security: the relations whose row-level security applies to the role; None if answers do not
            mention it.
        fetch: runs pgmcp's own catalog statements, to explain names that the catalog leaves out; None if
            such names are not explained.
        identities: returns the database with each caller's role; None if all callers have the login role.
        identity: the caller whose role and settings the statements of this object use; None for the login
            role.
        for_caller: returns a copy of a database, given a principal's name and id, and a host's name.
            pg_stat_activity shows both names for the copy's statements, and the principal gets only a share
            of the workers. None if the statements of all callers have the same `application_name`.
    """

    name: str
    supervisor: StatementExecutor
    schema: CatalogSource
    role: RoleGate
    functions: PolicySource
    context: Callable[[], DatabaseContext] = DatabaseContext
    row_security: RefreshingCache[RowSecurity] | None = None
    fetch: Fetch | None = None
    identities: Identities | None = None
    identity: Identity | None = None
    for_caller: Callable[["Database", str | None, str | None, str], "Database"] | None = None

    @property
    def role_name(self) -> str | None:
        """The caller's role; None: the login role."""
        return None if self.identity is None else self.identity.role

    def for_principal(self, principal: Principal | None) -> "Database":
        """Return the database with a caller's rights.

        Raises:
            UnmappedPrincipalError: the settings give the caller no role in this database.
        """
        return self if self.identities is None else self.identities.for_principal(principal)

    def for_call(self, call: "Call") -> "Database":
        """Return the database whose statements run for the caller of a call."""
        if self.for_caller is None or not (call.principal or call.caller):
            return self
        return self.for_caller(self, call.principal, call.principal_id, call.caller)

    async def mapped_roles(self) -> list[MappedRole]:
        """Return PostgreSQL's facts about the roles of callers, as the login role sees them."""
        if self.identities is None or self.fetch is None:
            return []
        return await read_mapped_roles(self.fetch, self.identities.roles)

    async def find_hidden(self, names: Sequence[str], catalog: Catalog) -> list[HiddenRelation]:
        """Return the relations of these names that the database has but its catalog omits."""
        return await find_hidden(self.fetch, names, catalog) if self.fetch else []


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits of one call.

    Attributes:
        result: maximum rows and bytes; a caller's limit can only lower the rows.
        statement_timeout_s: timeout of one statement, including its wait for a worker.
        request_timeout_s: timeout of the whole call, including the model.
        max_sql_retry: how often a model may repair its SQL.
        prompt_tokens: maximum tokens of one prompt.
    """

    result: RowLimits
    statement_timeout_s: float
    request_timeout_s: float
    max_sql_retry: int
    prompt_tokens: int


class CallOptions(Struct, frozen=True, kw_only=True):
    """The options of a question or a statement.

    Attributes:
        database: the database's name; None for the default one.
        limit: maximum number of rows; None for the highest that the settings allow.
        row_limits: limits of the result; None for those of the settings.
        caller: the host's name and version; "" if it gave none.
        principal: the authenticated user; None if the transport does not authenticate.
        on_stage: called when a stage begins.
    """

    database: str | None = None
    limit: int | None = None
    row_limits: RowLimits | None = None
    caller: str = ""
    principal: Principal | None = None
    on_stage: OnStage | None = None


class QueryOptions(CallOptions, frozen=True, kw_only=True):
    """The options of a question.

    Attributes:
        return_type: what the answer should contain.
        reading: how the question should be read; "" leaves it to the model.
        earlier: the question and SQL that this question refers to, for the model; a verified question is
            found without it.
    """

    return_type: ReturnType = ReturnType.RESULT
    reading: str = ""
    earlier: str = ""


class Call(Struct, kw_only=True):
    """A running call. Observers read it; only the pipeline writes it.

    Attributes:
        id: counts the calls of this pipeline.
        caller: the host's name and version; "" if it gave none.
        principal: the authenticated user's name; None if the transport does not authenticate.
        principal_id: identifies the user whose budgets the call is charged to; None charges the budgets of
            all callers together.
        database: the database's name; None for all.
        role: the database role of the caller; None if all callers have the login role.
        question: the question in plain language; "" if the caller wrote the SQL.
        sql: the last statement that was tried.
        on_stage: called when a stage begins.
        source: who wrote the last statement that ran; None before one ran.
        row_count: number of rows of the last statement that ran.
        model: the model that was asked to write SQL; None if no model was asked.
        tokens_in: prompt tokens over all model calls.
        tokens_cached: prompt tokens that came from the provider's cache.
        tokens_out: completion tokens over all model calls.
        elapsed_ms: milliseconds by stage, in the order they ran.
    """

    id: int
    operation: Operation
    caller: str = ""
    principal: str | None = None
    principal_id: str | None = None
    database: str | None = None
    role: str | None = None
    on_stage: OnStage | None = None
    question: str = ""
    sql: str | None = None
    source: Source | None = None
    row_count: int | None = None
    model: str | None = None
    tokens_in: int = 0
    tokens_cached: int = 0
    tokens_out: int = 0
    elapsed_ms: dict[str, float] = field(default_factory=dict)


class Request(Struct, kw_only=True):
    """The state of one `query` or `execute_sql` call.

    Attributes:
        question: "" if the caller wrote the SQL.
        deadline_s: when the call ends, on the pipeline's clock.
        attempts: the model's earlier attempts for the question.
        limits: limits of the result.
        return_type: what the answer should contain.
        context: the operator's notes on the database.
        found_values: words of the question that indexed columns contain; None before they are looked up.
        notes: remarks on the rows of the last statement that ran.
        reading: how the question should be read; "" leaves it to the model.
        is_follow_up: whether the question refers to an earlier one. `question` then ends with that question
            and its SQL.
        other_readings: other readings that the caller can ask for.
        spent: the readings that a person was offered, with the cost of the model's reply that contained them;
            None if no readings were offered.
        parsed: by each statement as written, without surrounding whitespace: its text up to the last token,
            without a final ";".
    """

    call: Call
    database: Database
    limits: RowLimits
    deadline_s: float
    question: str = ""
    return_type: ReturnType = ReturnType.BOTH
    context: DatabaseContext = _NO_CONTEXT
    attempts: list[Attempt] = field(default_factory=list)
    found_values: Sequence[str] | None = None
    notes: tuple[str, ...] = ()
    reading: str = ""
    is_follow_up: bool = False
    other_readings: tuple[str, ...] = ()
    spent: Choice | None = None
    parsed: dict[str, str] = field(default_factory=dict)

    def charge(self, completion: Completion) -> None:
        """Add the cost of a model call."""
        self.call.model = completion.model
        self.call.tokens_in += completion.tokens_in
        self.call.tokens_cached += completion.tokens_cached
        self.call.tokens_out += completion.tokens_out

    def charge_failed(self, error: ModelError, tokens_in: int = 0, tokens_out: int = 0) -> None:
        """Add the cost of a model call without a usable reply."""
        self.call.model = error.model or self.call.model
        self.call.tokens_in += tokens_in
        self.call.tokens_out += tokens_out

    def answer(
        self,
        sql: str,
        rows: Rows | None,
        source: Source,
        assumptions: Sequence[str] = (),
        notes: Sequence[str] = (),
    ) -> Answer:
        """Return the answer with this statement and its rows, and note statement and row count in the call.

        Args:
            rows: None if the statement was only planned.
        """
        call, spent = self.call, self.spent or _NO_COST
        call.sql, call.source = self.parsed.get(sql.strip(), sql), source
        call.row_count = None if rows is None else len(rows.rows)
        return Answer(
            database=self.database.name,
            sql=None if self.return_type is ReturnType.RESULT else sql,
            source=source,
            repairs=len(self.attempts),
            assumptions=tuple(assumptions),
            rows=rows,
            question=self.question or None,
            model=call.model or spent.model,
            tokens_in=call.tokens_in + spent.tokens_in,
            tokens_cached=call.tokens_cached + spent.tokens_cached,
            tokens_out=call.tokens_out + spent.tokens_out,
            elapsed_ms=call.elapsed_ms,
            notes=(*notes, *self.notes),
            statement=sql,
            other_readings=self.other_readings,
        )

    def answer_of_model(self, reply: SqlReply, rows: Rows | None, notes: Sequence[str] = ()) -> Answer:
        """Return the answer that has a model's statement and its rows; arguments as for `answer`."""
        source = Source.REPAIRED if self.attempts else Source.GENERATED
        return self.answer(reply.sql.strip(), rows, source, reply.assumptions, notes)

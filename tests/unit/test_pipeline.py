"""The order of a call's stages, its repairs, limits, deadline and end, with fakes for all waits."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import anyio
import pytest

from pgmcp.answers.answer import Source
from pgmcp.catalog.cache import CatalogChange, CatalogListener
from pgmcp.catalog.catalog import Catalog, Table, TableKind
from pgmcp.catalog.catalog import Column as TableColumn
from pgmcp.catalog.row_security import RowSecurity
from pgmcp.errors import (
    DeadlineExceededError,
    InvalidArgumentError,
    ModelNotConfiguredError,
    ModelReplyError,
    PgmcpError,
    RateLimitedError,
    RoleRefusedError,
    SqlRejectedError,
    StatementFailedError,
    UnanswerableError,
)
from pgmcp.execution.result import Column, RowLimits, Rows, StatementOrigin
from pgmcp.execution.role import RolePrivileges
from pgmcp.generation.completion import Completion
from pgmcp.generation.context_file import DatabaseContext
from pgmcp.generation.prompt import Message
from pgmcp.generation.reply import SqlReply
from pgmcp.generation.verified import VerifiedQuestion
from pgmcp.pipeline import Databases, Pipeline
from pgmcp.pipeline.call import Bounds, CallOptions, Database, QueryOptions, ReturnType
from pgmcp.refreshing_cache import RefreshingCache
from pgmcp.validation import FunctionPolicy

pytestmark = pytest.mark.anyio

TIMEOUT_S = 5
ONE = Rows((Column("n", "integer"),), [[1]])
ORDERS = Table(
    "public",
    "orders",
    TableKind.TABLE,
    "",
    (
        TableColumn("id", "integer", nullable=False),
        TableColumn("status", "text", nullable=False, values=("open", "paid")),
    ),
    estimated_rows=1,
)
MISSPELLED = "select id from orders where status = 'payed'"
SPELLED = "select id from orders where status = 'paid'"


class Executor:
    """Returns the scripted result of each statement, and records the statements."""

    pooler = ""
    tunnel_state = ""

    def prestart(self) -> None:
        raise AssertionError

    def __init__(self, *outcomes: Rows | PgmcpError) -> None:
        self._outcomes = list(outcomes)
        self.statements: list[str] = []
        self.limits: list[RowLimits] = []

    async def execute(
        self, sql: str, limits: RowLimits, *, origin: StatementOrigin, can_be_wrapped: bool, timeout_s: float
    ) -> Rows:
        self.statements.append(sql)
        self.limits.append(limits)
        outcome = self._outcomes.pop(0) if self._outcomes else ONE
        if isinstance(outcome, PgmcpError):
            raise outcome
        return outcome


class OneOrder(Executor):
    """Answers as a database with one order, whose status is "paid"."""

    async def execute(
        self, sql: str, limits: RowLimits, *, origin: StatementOrigin, can_be_wrapped: bool, timeout_s: float
    ) -> Rows:
        if origin is StatementOrigin.CALLER and sql.startswith("SELECT EXISTS"):  # a lookup of the value
            return Rows((Column("exists", "boolean"),), [["'paid'" in sql]])
        self.statements.append(sql)
        return Rows((Column("id", "integer"),), [[1]] if "'paid'" in sql else [])


class StuckExecutor(Executor):
    """Runs until it is cancelled, and records that."""

    def __init__(self) -> None:
        super().__init__()
        self.is_running = asyncio.Event()
        self.was_cancelled = False

    async def execute(
        self, sql: str, limits: RowLimits, *, origin: StatementOrigin, can_be_wrapped: bool, timeout_s: float
    ) -> Rows:
        self.is_running.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        raise AssertionError


class Policy:
    """Allows PostgreSQL's own functions."""

    def peek(self) -> FunctionPolicy | None:
        return None

    async def get(self) -> FunctionPolicy:
        return FunctionPolicy()

    async def refresh(self) -> FunctionPolicy:
        return FunctionPolicy()


class Schema:
    """A catalog of one table."""

    cached: Catalog | None = None

    def subscribe(self, listener: CatalogListener) -> None:
        raise AssertionError

    async def get(self) -> Catalog:
        return Catalog((ORDERS,), ("public",), "18.1")

    async def get_after_miss(self, *, is_outdated: bool) -> Catalog:
        return await self.get()

    async def refresh(self) -> CatalogChange:
        raise AssertionError


@dataclass
class Role:
    """Admits the role, or refuses it with the error that the test gives."""

    refusal: PgmcpError | None = None

    async def admit(self) -> None:
        if self.refusal:
            raise self.refusal

    async def privileges(self) -> RolePrivileges:
        raise AssertionError

    def probe(self) -> asyncio.Task[RolePrivileges]:
        raise AssertionError


class Model:
    """Returns scripted replies one after another, and records the prompts."""

    def __init__(self, *replies: SqlReply | str | PgmcpError) -> None:
        self._replies = list(replies)
        self.prompts: list[str] = []

    async def complete(self, messages: Sequence[Message], *, timeout_s: float) -> Completion:
        self.prompts.append("\n".join(message["content"] for message in messages))
        reply = self._replies.pop(0)
        if isinstance(reply, PgmcpError):
            raise reply
        return Completion(SqlReply(reply) if isinstance(reply, str) else reply, 100, 20, "scripted")


@dataclass
class Budgets:
    """Admits all requests, or refuses them with the error that the test gives; records settled tokens."""

    refusal: PgmcpError | None = None
    token_refusal: PgmcpError | None = None
    settled: list[int] = field(default_factory=list)

    async def admit(self, caller: str | None, /) -> None:
        if self.refusal:
            raise self.refusal

    async def reserve_tokens(self, tokens: int, caller: str | None, /) -> "Budgets":
        if self.token_refusal:
            raise self.token_refusal
        return self

    async def settle(self, used_tokens: int, /) -> None:
        self.settled.append(used_tokens)


def pipeline(
    executor: Executor,
    *,
    model: Model | None = None,
    role: Role | None = None,
    budgets: Budgets | None = None,
    context: DatabaseContext | None = None,
    row_security: RefreshingCache[RowSecurity] | None = None,
    max_sql_retry: int = 2,
    request_timeout_s: float = TIMEOUT_S,
    clock: Callable[[], float] = time.monotonic,
) -> Pipeline:
    given = budgets or Budgets()
    operator_says: Callable[[], DatabaseContext] = lambda: context or DatabaseContext()  # noqa: E731
    database = Database("main", executor, Schema(), role or Role(), Policy(), operator_says, row_security)
    return Pipeline(
        Databases({"main": database}),
        bounds=Bounds(RowLimits(100, 1 << 20, 1 << 16), TIMEOUT_S, request_timeout_s, max_sql_retry, 2_000),
        rate_limit=lambda: given,
        model=model,
        count_tokens=len,
        clock=clock,
    )


def protected(relation: str) -> RefreshingCache[RowSecurity]:
    """Return the policies of a database in which they apply to one relation."""

    async def read() -> RowSecurity:
        return RowSecurity(frozenset({("public", relation)}), search_path=("public",))

    return RefreshingCache(read, refresh_interval_s=60, logger=logging.getLogger("test"), name="policies")


async def test_the_callers_statement_runs_unchanged() -> None:
    executor = Executor()

    answer = await pipeline(executor).execute_sql("select 1 as n ;")

    assert executor.statements == ["select 1 as n"]
    assert (answer.rows, answer.source, answer.repairs) == (ONE, Source.DIRECT, 0)


async def test_a_rejected_statement_does_not_reach_the_database() -> None:
    executor = Executor()

    with pytest.raises(SqlRejectedError) as rejected:
        await pipeline(executor).execute_sql("delete from orders")

    assert executor.statements == []
    assert rejected.value.sql == "delete from orders"


async def test_a_callers_limit_lowers_only_the_number_of_rows() -> None:
    executor = Executor()

    await pipeline(executor).execute_sql("select 1", CallOptions(limit=7))

    assert executor.limits == [RowLimits(7, 1 << 20, 1 << 16)]


@pytest.mark.parametrize("limit", [0, -1, 101])
async def test_a_limit_out_of_range_is_refused(limit: int) -> None:
    executor = Executor()

    with pytest.raises(InvalidArgumentError, match=f"limit is {limit}"):
        await pipeline(executor).execute_sql("select 1", CallOptions(limit=limit))

    assert executor.statements == []


@pytest.mark.parametrize(
    ("first", "why"),
    [("delete from orders", "DELETE is not a read"), ("select * from where", "syntax error")],
)
async def test_sql_that_was_rejected_is_shown_to_the_model_and_repaired(first: str, why: str) -> None:
    executor, model = Executor(), Model(first, "select id from orders")

    answer = await pipeline(executor, model=model).answer("Which orders?")

    assert executor.statements == ["select id from orders"]
    assert (answer.source, answer.repairs) == (Source.REPAIRED, 1)
    assert first in model.prompts[1]
    assert why in model.prompts[1]
    assert (answer.tokens_in, answer.tokens_out) == (200, 40)


async def test_sql_that_failed_is_shown_to_the_model_and_repaired() -> None:
    executor = Executor(StatementFailedError("division by zero", sqlstate="22012"))
    model = Model("select 1/0", "select 1")

    answer = await pipeline(executor, model=model).answer("What is one?")

    assert executor.statements == ["select 1/0", "select 1"]
    assert answer.source is Source.REPAIRED
    assert "division by zero" in model.prompts[1]


@pytest.mark.parametrize("max_sql_retry", [0, 1, 3])
async def test_a_model_may_repair_its_sql_only_as_often_as_configured(max_sql_retry: int) -> None:
    model = Model(*["drop table orders"] * 9)

    with pytest.raises(SqlRejectedError):
        await pipeline(Executor(), model=model, max_sql_retry=max_sql_retry).answer("Drop it?")

    assert len(model.prompts) == 1 + max_sql_retry


async def test_the_model_sees_that_a_value_does_not_exist_and_its_better_answer_is_returned() -> None:
    executor, model = OneOrder(), Model(MISSPELLED, SPELLED)

    answer = await pipeline(executor, model=model).answer("Which orders are paid?")

    assert executor.statements == [MISSPELLED, SPELLED]
    assert (answer.statement, answer.repairs) == (SPELLED, 1)
    assert "orders.status = 'payed'" in model.prompts[1]
    assert answer.notes == ()


@pytest.mark.parametrize(
    "second",
    [
        MISSPELLED.replace("payed", "paied"),
        "drop table orders",
        SqlReply("", answerable=False, reason="no such status"),
        ModelReplyError("no JSON"),
        RateLimitedError("too many tokens", retry_after_s=9),
    ],
)
async def test_an_answer_stays_with_its_notes_if_the_second_is_not_better(
    second: SqlReply | str | PgmcpError,
) -> None:
    executor, model = OneOrder(), Model(MISSPELLED, second)
    row_security = protected("orders")

    answer = await pipeline(executor, model=model, row_security=row_security).answer("Which are paid?")

    assert len(model.prompts) == 2
    assert (answer.statement, answer.repairs, answer.source) == (MISSPELLED, 0, Source.GENERATED)
    mismatch, policies = answer.notes
    assert "'payed' is not in the data" in mismatch
    assert "row-level security" in policies


async def test_a_model_without_retries_left_is_not_asked_to_reconsider() -> None:
    model = Model(MISSPELLED)

    answer = await pipeline(OneOrder(), model=model, max_sql_retry=0).answer("Which orders are paid?")

    assert answer.statement == MISSPELLED
    assert len(model.prompts) == 1


async def test_a_call_close_to_its_deadline_does_not_wait_for_a_second_answer() -> None:
    executor, model = OneOrder(), Model(MISSPELLED, SPELLED)
    served = pipeline(executor, model=model, clock=lambda: TIMEOUT_S - 0.5 if executor.statements else 0.0)

    answer = await served.answer("Which orders are paid?")

    assert answer.statement == MISSPELLED
    assert len(model.prompts) == 1


async def test_a_question_that_cannot_be_answered_runs_nothing() -> None:
    executor = Executor()
    model = Model(
        SqlReply("", answerable=False, reason="no prices here", suggested_question="How many orders?")
    )

    with pytest.raises(UnanswerableError, match="no prices here") as unanswerable:
        await pipeline(executor, model=model).answer("What does it cost?")

    assert executor.statements == []
    assert "How many orders?" in unanswerable.value.hint


async def test_sql_that_is_not_run_is_planned() -> None:
    executor, model = Executor(), Model("select id from orders")

    answer = await pipeline(executor, model=model).answer(
        "Which orders?", QueryOptions(return_type=ReturnType.SQL)
    )

    assert executor.statements == ["EXPLAIN select id from orders"]
    assert (answer.sql, answer.rows) == ("select id from orders", None)


async def test_a_verified_question_needs_no_model() -> None:
    executor = Executor()
    context = DatabaseContext(verified=(VerifiedQuestion("How many orders?", "select count(*) from orders"),))

    answer = await pipeline(executor, context=context).answer("how many orders")

    assert executor.statements == ["select count(*) from orders"]
    assert answer.source is Source.VERIFIED


async def test_without_a_model_a_question_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(ModelNotConfiguredError):
        await pipeline(Executor()).answer("How many orders?")


async def test_the_model_is_not_asked_if_too_few_tokens_are_left() -> None:
    model = Model("select 1")
    budgets = Budgets(token_refusal=RateLimitedError("too many tokens", retry_after_s=9))

    with pytest.raises(RateLimitedError):
        await pipeline(Executor(), model=model, budgets=budgets).answer("What is one?")

    assert model.prompts == []


async def test_tokens_are_settled_by_what_was_used_even_if_the_reply_is_useless() -> None:
    budgets = Budgets()
    model = Model("select 1")
    await pipeline(Executor(), model=model, budgets=budgets).answer("What is one?")
    useless = Model(ModelReplyError("no JSON", tokens_in=70, tokens_out=7))

    with pytest.raises(ModelReplyError):
        await pipeline(Executor(), model=useless, budgets=budgets).answer("What is one?")

    assert budgets.settled == [120, 77]


async def test_a_request_above_the_rate_limit_does_not_reach_the_database() -> None:
    executor = Executor()
    budgets = Budgets(refusal=RateLimitedError("too many requests", retry_after_s=9))

    with pytest.raises(RateLimitedError):
        await pipeline(executor, budgets=budgets).execute_sql("select 1")

    assert executor.statements == []


async def test_a_refused_role_runs_no_statement() -> None:
    executor = Executor()

    with pytest.raises(RoleRefusedError):
        await pipeline(executor, role=Role(RoleRefusedError("it can write"))).execute_sql("select 1")

    assert executor.statements == []


async def test_a_call_that_takes_too_long_is_ended_with_what_it_waits_for() -> None:
    executor = StuckExecutor()

    with anyio.fail_after(TIMEOUT_S), pytest.raises(DeadlineExceededError, match=r"longer than 0\.02 s"):
        await pipeline(executor, request_timeout_s=0.02).execute_sql("select 1")

    assert executor.was_cancelled


async def test_a_call_that_is_cancelled_cancels_its_statement() -> None:
    executor = StuckExecutor()
    call = asyncio.create_task(pipeline(executor).execute_sql("select 1"))
    with anyio.fail_after(TIMEOUT_S):
        await executor.is_running.wait()

    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call
    assert executor.was_cancelled

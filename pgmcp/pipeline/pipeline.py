"""Runs the stages of a question or a statement in order."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from pgmcp.answers.answer import Answer, Source
from pgmcp.argument_bounds import MAX_QUESTION_CHARACTERS, checked_question, checked_reading, limited_rows
from pgmcp.errors import (
    DeadlineExceededError,
    PgmcpError,
    ResultTooLargeError,
    SqlRejectedError,
    StatementFailedError,
    TooExpensiveError,
    UnanswerableError,
)
from pgmcp.execution.result import Rows, StatementOrigin
from pgmcp.generation.prompt_writer import PromptWriter
from pgmcp.generation.verified import VerifiedQuestion
from pgmcp.identity import Principal
from pgmcp.pipeline.admission import Calls
from pgmcp.pipeline.call import (
    Bounds,
    Call,
    CallOptions,
    Operation,
    QueryOptions,
    Request,
)
from pgmcp.pipeline.choice import NONE_OF_THESE, Choice
from pgmcp.pipeline.databases import Databases
from pgmcp.pipeline.protocols import Budgets, Model
from pgmcp.pipeline.repair_loop import RepairLoop
from pgmcp.pipeline.schema_access import SchemaAccess
from pgmcp.pipeline.statements import EXPLAIN, StatementRunner
from pgmcp.pipeline.tracer import Observer, Tracer
from pgmcp.pipeline.writing import SqlWriter, find_verified_sql, with_column_spelling

VERIFIED_SQL_FAILED: Final = (
    "the operator's verified SQL for this question failed: have it corrected in the context file, or "
    "rephrase the question"
)

VERIFIED_SQL_RAN: Final = (
    "the SQL is the operator's verified SQL for this question, which the context file can correct"
)

_CALL_OPTIONS: Final = CallOptions()
_QUERY_OPTIONS: Final = QueryOptions()


class Pipeline:
    """Answers questions and runs statements on the configured databases."""

    def __init__(
        self,
        databases: Databases,
        *,
        bounds: Bounds,
        rate_limit: Callable[[], Budgets],
        model: Model | None,
        count_tokens: Callable[[str], int],
        observers: Sequence[Observer] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Serve the databases.

        Args:
            databases: the databases that are served.
            bounds: limits of each call.
            rate_limit: returns the budgets, always the same object. Not used before the first request.
            model: writes SQL; None if neither key nor endpoint is configured.
            count_tokens: returns the number of tokens of a text.
            observers: observe every call and its stages.
            clock: returns monotonic seconds.
        """
        self.databases = databases
        self._bounds = bounds
        self._has_model = model is not None
        self._clock = clock
        self._calls = calls = Calls(
            databases.names,
            rate_limit,
            Tracer(observers, clock),
            timeout_s=bounds.request_timeout_s,
            names_database=databases.has_several,
        )
        self.schema = SchemaAccess(databases, calls)
        self._statements = StatementRunner(
            statement_timeout_s=bounds.statement_timeout_s, tracer=calls.tracer, clock=clock
        )
        prompts = PromptWriter(max_tokens=bounds.prompt_tokens, count_tokens=count_tokens)
        self._writer = SqlWriter(
            model=model,
            prompts=prompts,
            rate_limit=rate_limit,
            statements=self._statements,
            tracer=calls.tracer,
            clock=clock,
        )
        self._repair_loop = RepairLoop(
            self._writer, self._statements, calls.tracer, max_sql_retry=bounds.max_sql_retry, clock=clock
        )

    @property
    def can_answer_questions(self) -> bool:
        """Whether `answer` can succeed: there is a model, or a verified question."""
        return self._has_model or self.databases.have_verified_questions

    @property
    def max_rows(self) -> int:
        """The highest row limit that a caller may ask for."""
        return self._bounds.result.max_rows

    async def answer(self, question: str, options: QueryOptions = _QUERY_OPTIONS) -> Answer:
        """Answer a question asked in plain language, by `options.reading` or else by its usual reading.

        Raises:
            PgmcpError: see `pgmcp.errors`; any kind except SettingsError.
        """
        with self._calls.bounded(call := self._query_call(question, options)):
            request = await self._new_question(call, question, options)
            verified = await self._answer_verified(request)
            if verified is not None:
                return verified
            _add_earlier(request, options.earlier)
            return await self._repair_loop.answer(request)

    async def answer_or_ask(self, question: str, options: QueryOptions, *, may_ask: bool) -> Answer | Choice:
        """Answer a question, or return its readings if the model finds several and `may_ask` is true.

        Args:
            may_ask: whether readings may be returned. If not, or if `options.reading` is set, the question is
                answered as by `answer`.

        Raises:
            PgmcpError: as `answer`.
        """
        with self._calls.bounded(call := self._query_call(question, options)):
            request = await self._new_question(call, question, options)
            verified = await self._answer_verified(request)
            if verified is not None:
                return verified
            _add_earlier(request, options.earlier)
            reply = await self._writer.write(request)
            if may_ask and reply.readings and not request.reading:
                return Choice(
                    question=request.question,
                    readings=reply.readings,
                    assumptions=reply.assumptions,
                    model=call.model,
                    tokens_in=call.tokens_in,
                    tokens_cached=call.tokens_cached,
                    tokens_out=call.tokens_out,
                )
            return await self._repair_loop.answer(request, reply)

    async def answer_chosen(
        self, choice: Choice, title: str | None, options: QueryOptions, *, is_new_call: bool
    ) -> Answer:
        """Run the SQL of a chosen reading, with the same guards and checks as other SQL of the model.

        Args:
            choice: the readings.
            title: one of the choice's titles; None for the usual reading.
            is_new_call: whether to count the call against the rate limit; False within the call that found
                the readings.

        Raises:
            UnanswerableError: the title is "None of these".
            PgmcpError: as `answer`.
        """
        with self._calls.bounded(call := self._query_call(choice.question, options)):
            if is_new_call:
                await self._calls.admit(call)
            request = await self._new_request(call, options)
            request.question, request.return_type = choice.question, options.return_type
            request.context = await asyncio.to_thread(request.database.context)
            request.spent = choice
            if title == NONE_OF_THESE:
                raise UnanswerableError(
                    "none of the offered readings is meant",
                    hint="ask again and say what is meant; search_schema shows the available tables",
                )
            request.reading = title or ""
            return await self._repair_loop.answer(request, choice.reply_for(title))

    async def answer_verified(
        self, verified: VerifiedQuestion, arguments: Mapping[str, str], options: QueryOptions
    ) -> Answer:
        """Run the SQL of a verified question.

        Args:
            arguments: the result of `VerifiedQuestion.read`.

        Raises:
            InvalidArgumentError: a column does not have the value of an argument.
            PgmcpError: as `execute_sql`.
        """
        question = verified.asked_with(arguments)
        with self._calls.bounded(call := self._query_call(question, options)):
            await self._calls.admit(call)
            request = await self._new_request(call, options)
            request.question, request.return_type = question, options.return_type
            sql = verified.bind(await with_column_spelling(request, verified, arguments, self._statements))
            rows = await self._run_verified(request, sql)
            return request.answer(sql.strip(), rows, Source.VERIFIED)

    async def plan_verified(
        self, verified: VerifiedQuestion, database: str, principal: Principal | None = None
    ) -> PgmcpError | None:
        """Return why the SQL of a verified question cannot run; None if PostgreSQL can plan it.

        Raises:
            PgmcpError: the database could not be asked.
        """
        served = await self.databases.serve(database, principal)
        plan = self._statements.lookup(
            served, timeout_s=self._bounds.statement_timeout_s, origin=StatementOrigin.CALLER
        )
        try:
            await plan(EXPLAIN + verified.sample_sql)
        except (SqlRejectedError, StatementFailedError) as error:
            return error
        return None

    async def execute_sql(self, sql: str, options: CallOptions = _CALL_OPTIONS) -> Answer:
        """Run one read-only statement that the caller wrote.

        Raises:
            PgmcpError: the statement was rejected or failed, or a limit was reached.
        """
        with self._calls.bounded(call := self._begin(Operation.EXECUTE_SQL, options)):
            await self._calls.admit(call)
            request = await self._new_request(call, options)
            rows = await self._statements.run(request, sql)
            return request.answer(sql, rows, Source.DIRECT)

    def _begin(self, operation: Operation, options: CallOptions) -> Call:
        return self._calls.begin(
            operation, options.database, options.caller, options.principal, options.on_stage
        )

    async def _new_request(self, call: Call, options: CallOptions) -> Request:
        database = await self.databases.serve(call.database, options.principal)
        call.database, call.role = database.name, database.role_name
        return Request(
            call=call,
            database=database.for_call(call),
            limits=limited_rows(options.row_limits or self._bounds.result, options.limit),
            deadline_s=self._clock() + self._bounds.request_timeout_s,
        )

    def _query_call(self, question: str, options: QueryOptions) -> Call:
        call = self._begin(Operation.QUERY, options)
        call.question = question[:MAX_QUESTION_CHARACTERS]
        return call

    async def _new_question(self, call: Call, question: str, options: QueryOptions) -> Request:
        await self._calls.admit(call)
        request = await self._new_request(call, options)
        request.question, request.return_type = checked_question(question), options.return_type
        call.question = request.question
        request.reading = checked_reading(options.reading)
        request.context = await asyncio.to_thread(request.database.context)
        return request

    async def _answer_verified(self, request: Request) -> Answer | None:
        """Answer by the operator's SQL; None if the question is not a verified one."""
        verified_sql = await find_verified_sql(request, self._statements)
        if verified_sql is None:
            return None
        rows = await self._run_verified(request, verified_sql)
        return request.answer(verified_sql.strip(), rows, Source.VERIFIED)

    async def _run_verified(self, request: Request, sql: str) -> Rows | None:
        request.call.source = Source.VERIFIED
        try:
            return await self._statements.run(request, sql)
        except (SqlRejectedError, StatementFailedError) as error:
            _add_hint(error, VERIFIED_SQL_FAILED)
            raise
        except (DeadlineExceededError, ResultTooLargeError, TooExpensiveError) as error:
            _add_hint(error, VERIFIED_SQL_RAN)
            raise


def _add_hint(error: PgmcpError, hint: str) -> None:
    error.hint = "; ".join(part for part in (error.hint.rstrip("."), hint) if part)


def _add_earlier(request: Request, earlier: str) -> None:
    """Append the earlier question and its SQL, to which the question refers, for the model."""
    if earlier:
        request.is_follow_up = True
        request.question = f"{request.question}\n\n{earlier}"[:MAX_QUESTION_CHARACTERS]
        request.call.question = request.question

"""Builds the server's objects from the settings (composition root)."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache, partial
from typing import TYPE_CHECKING, Final

from pgmcp import __version__
from pgmcp.answers.budget import MAX_CHARACTERS_PER_TOKEN
from pgmcp.answers.result_store import LocalResultStore, ResultStore
from pgmcp.errors import GuardFailedError, PgmcpError, UnmappedPrincipalError
from pgmcp.execution.connection_hints import VARIABLE_PREFIX
from pgmcp.execution.fork_server import ForkServer
from pgmcp.execution.result import RowLimits
from pgmcp.execution.spawn import Spawn, spawn_cold
from pgmcp.generation.context_file import ContextFile, DatabaseContext, describe_unknown_databases
from pgmcp.generation.model import ModelClient
from pgmcp.lookup.scope_check import HiddenValuesCheck
from pgmcp.observability.call_log import CallLog
from pgmcp.open_database import open_database
from pgmcp.pipeline import Bounds, Database, Databases, Observer, Pipeline
from pgmcp.pipeline.protocols import RoleGate
from pgmcp.settings import OpenAISettings, RateLimitSettings, ServerSettings, Settings
from pgmcp.surface import Backend, SurfaceSettings, TraceRequest
from pgmcp.surface.asking import Asker
from pgmcp.surface.presenter import Presenter
from pgmcp.surface.verified_tools import watch_tools
from pgmcp.tokens import TokenCounter
from pgmcp.validation import check_parsers, preload, prepare_outlines

if TYPE_CHECKING:
    from pgmcp.fleet.sharing import Sharing
    from pgmcp.observability.telemetry import MetricsPage
    from pgmcp.rate_limit import RateLimit

logger = logging.getLogger(__name__)

_NO_SURFACE: Final = SurfaceSettings(extensions=())

RESULTS_NOT_SHARED: Final = (
    "if several servers answer behind a load balancer, each keeps its own results until the operator sets "
    "PG_MCP_RATE_LIMIT_STORAGE_URL and PG_MCP_HTTP_STATE_KEYS on all of them"
)


@asynccontextmanager
async def open_backend(
    settings: Settings,
    context_file: ContextFile | None,
    fork_server: ForkServer | None,
    surface: SurfaceSettings = _NO_SURFACE,
    *,
    kept_connections: int = 0,
    is_over_http: bool = False,
) -> AsyncIterator[Backend]:
    """Build the objects that answer hosts; on leaving, end all workers and statements.

    Args:
        settings: the settings of the server.
        context_file: the context file, if it has been read already.
        fork_server: starts the workers; None starts each as a new interpreter. Closed on leaving.
        surface: the settings of the surface, whose extensions are closed on leaving.
        kept_connections: connections to keep for each database in use, unless its settings say how many.
        is_over_http: whether the transport is HTTP, where several servers may answer the same hosts.

    Raises:
        GuardFailedError: the checks of statements do not work in this environment.
        SettingsError: a file that the settings name cannot be used.
    """
    # The second grammar loads later; no statement is validated before its self-test.
    await asyncio.to_thread(check_parsers)
    page = _metrics_page(settings)
    async with (
        AsyncExitStack() as cleanup,
        _open_sharing(settings) as sharing,
        open_pipeline(
            settings, fork_server, context_file, sharing, page, kept_connections=kept_connections
        ) as (pipeline, counter),
    ):
        _attach_surface(surface, pipeline, cleanup)
        if not settings.server.use_readonly_transactions:
            logger.warning("read-only transactions are off; all other guards remain")
        results = _result_store(settings, sharing, is_over_http=is_over_http)
        presenter = Presenter(settings.server.max_result_tokens, counter.count, results)
        asker = Asker(timeout_s=settings.server.ask_timeout_s, keys=settings.http.state_key_list)
        yield Backend(
            pipeline,
            presenter,
            asker,
            _request_trace(settings),
            page.render if page else None,
            sharing.answers if sharing else None,
        )


def _attach_surface(surface: SurfaceSettings, pipeline: Pipeline, cleanup: AsyncExitStack) -> None:
    """Follow changes of the verified tools; `cleanup` ends that, and closes the extensions."""
    for extension in surface.extensions:
        cleanup.push_async_callback(extension.close)
    if surface.verified_tools is not None:
        watching = asyncio.create_task(watch_tools(surface.verified_tools, pipeline))
        cleanup.push_async_callback(_cancel, watching)


def _metrics_page(settings: Settings) -> "MetricsPage | None":
    if not settings.http.metrics:
        return None
    from pgmcp.observability.telemetry import MetricsPage

    return MetricsPage()


def _request_trace(settings: Settings) -> TraceRequest | None:
    if not settings.opentelemetry:
        return None
    from pgmcp.observability.telemetry import trace_request

    return trace_request


@asynccontextmanager
async def _open_sharing(settings: Settings) -> AsyncIterator["Sharing | None"]:
    if settings.rate_limit.storage_url is None:
        yield None
        return
    from pgmcp.fleet.sharing import open_sharing

    async with open_sharing(settings) as sharing:
        yield sharing


def _result_store(settings: Settings, sharing: "Sharing | None", *, is_over_http: bool) -> ResultStore | None:
    if sharing is not None and sharing.results is not None:
        return sharing.results
    server = settings.server
    if not server.kept_results_bytes:
        return None
    return LocalResultStore(
        max_bytes=server.kept_results_bytes,
        lifetime_s=server.kept_results_ttl_s,
        # If several servers answer, another one may have stored the result.
        advice=RESULTS_NOT_SHARED if is_over_http or sharing is not None else "",
    )


@asynccontextmanager
async def open_pipeline(
    settings: Settings,
    fork_server: ForkServer | None,
    context_file: ContextFile | None = None,
    sharing: "Sharing | None" = None,
    page: "MetricsPage | None" = None,
    *,
    kept_connections: int = 0,
    observers: Sequence[Observer] = (),
) -> AsyncIterator[tuple[Pipeline, TokenCounter]]:
    """Build the pipeline and the counter of tokens; on leaving, end all workers and statements.

    Args:
        settings: the settings of the server.
        fork_server: starts the workers; None starts each as a new interpreter. Closed on leaving.
        context_file: the context file, if it has been read already.
        sharing: what several servers share; None counts for this process alone.
        page: shows metrics to Prometheus.
        kept_connections: connections to keep for each database in use, unless its settings say how many.
        observers: observers of calls, in addition to those of the settings.

    Raises:
        SettingsError: a file that the settings name cannot be used.
    """
    counter = TokenCounter(settings.openai.model)
    context_file = _load_context_file(settings, context_file)
    spawn = fork_server.spawn if fork_server else spawn_cold
    async with AsyncExitStack() as cleanup:
        if fork_server:
            cleanup.callback(fork_server.close)
        observers = [*observers, *_observers(settings, cleanup, page)]
        model = make_model(settings.openai)
        if model is not None:
            cleanup.push_async_callback(model.aclose)
        databases = _open_databases(settings, context_file, spawn, cleanup, kept_connections)
        rate_limit = _rate_limit(settings.rate_limit, sharing)
        _start_preparing(next(iter(databases.values())), rate_limit, cleanup)
        pipeline = Pipeline(
            Databases(databases, has_several=settings.has_several_databases),
            bounds=_bounds(settings.server),
            rate_limit=rate_limit,
            model=model,
            count_tokens=counter.count,
            observers=observers,
        )
        yield pipeline, counter


def _load_context_file(settings: Settings, loaded: ContextFile | None) -> ContextFile | None:
    """Return the context file of the settings, and warn if it names databases that are not configured."""
    context_file = loaded or (ContextFile(settings.context_file) if settings.context_file else None)
    if context_file and (problem := describe_unknown_databases(context_file.databases, settings.databases)):
        logger.warning("%s", problem)
    return context_file


def _open_databases(
    settings: Settings,
    context_file: ContextFile | None,
    spawn: Spawn,
    cleanup: AsyncExitStack,
    kept_connections: int,
) -> dict[str, Database]:
    """Build the objects of each database by name; `cleanup` closes them."""
    hidden_values = HiddenValuesCheck(settings.databases)
    databases: dict[str, Database] = {}
    for name, database in settings.databases.items():
        databases[name] = open_database(
            name,
            database,
            settings.server,
            partial(context_file.get, name) if context_file else DatabaseContext,
            spawn,
            cleanup,
            hidden_values=hidden_values,
            kept_connections=kept_connections,
            variable_prefix=settings.variable_prefixes.get(name, VARIABLE_PREFIX),
        )
        if database.maps_roles:
            check = asyncio.create_task(_report_roles(databases[name]))
            cleanup.push_async_callback(_cancel, check)
    return databases


def _observers(settings: Settings, cleanup: AsyncExitStack, page: "MetricsPage | None") -> list[Observer]:
    """Return the observers of calls; disabled ones are not imported."""
    observers: list[Observer] = [CallLog()]
    if settings.audit.file is not None:
        from pgmcp.observability.audit import AuditFile

        audit = AuditFile(
            settings.audit.file,
            with_sql=settings.audit.sql == "text",
            max_bytes=settings.audit.max_bytes,
            kept_files=settings.audit.kept_files,
        )
        cleanup.callback(audit.close)
        observers.append(audit)
    if settings.opentelemetry or page is not None:
        from pgmcp.observability.telemetry import Telemetry, start_telemetry

        stop = start_telemetry(__version__, sends=settings.opentelemetry, page=page)
        cleanup.push_async_callback(asyncio.to_thread, stop)
        observers.append(Telemetry())
    return observers


def _start_preparing(
    database: Database, rate_limit: Callable[[], "RateLimit"], cleanup: AsyncExitStack
) -> None:
    """Start the first worker, the check of the role, and what else the first statement needs."""
    database = _for_default_caller(database)
    database.supervisor.prestart()
    database.role.probe()
    cleanup.push_async_callback(_cancel, asyncio.create_task(_prepare(database, rate_limit)))


async def _prepare(database: Database, rate_limit: Callable[[], "RateLimit"]) -> None:
    """Prepare what the first statement needs; if this fails, the statement reports the error."""
    await asyncio.gather(
        database.functions.get(), _preload_after(database.role, rate_limit), return_exceptions=True
    )
    await asyncio.to_thread(prepare_outlines)
    await asyncio.to_thread(rate_limit().preload)
    # Objects loaded by now are permanent. Frozen, they are not scanned by full collections, which took 0.1 s.
    gc.freeze()


async def _preload_after(role: RoleGate, rate_limit: Callable[[], "RateLimit"]) -> None:
    """Load the grammars after the database has answered, so that `initialize` is not delayed."""
    await asyncio.wait([role.probe()])
    rate_limit()
    try:
        await asyncio.to_thread(preload)
    except GuardFailedError as error:  # every statement is refused with the same error
        logger.error("%s; %s", error, error.hint)  # noqa: TRY400 # the traceback says nothing


def _rate_limit(settings: RateLimitSettings, sharing: "Sharing | None") -> Callable[[], "RateLimit"]:
    """Return a function that creates the rate limit at its first call, because its library loads slowly."""

    @cache
    def make() -> "RateLimit":
        from pgmcp.rate_limit import RateLimit

        return RateLimit(
            enabled=settings.enabled,
            requests_per_minute=settings.requests_per_minute,
            requests_per_hour=settings.requests_per_hour,
            tokens_per_minute=settings.openai_tokens_per_minute,
            shared=sharing.counts if sharing else None,
        )

    return make


def _for_default_caller(database: Database) -> Database:
    """Return the database for callers without a token; if they have no role, for the login role."""
    try:
        return database.for_principal(None)
    except UnmappedPrincipalError:
        return database


async def _report_roles(database: Database) -> None:
    """Log the mapped roles that cannot be set, and the risks of the others."""
    try:
        roles = await database.mapped_roles()
    except PgmcpError as error:
        logger.warning("database %s: pgmcp could not check its mapped roles (%s)", database.name, error.code)
        return
    for role in roles:
        if role.problem:
            logger.error(
                "database %s: callers who are mapped to this role are refused: %s; %s",
                database.name,
                role.problem,
                role.hint,
            )
        if role.risks:
            logger.warning("database %s: mapped role %s: %s", database.name, role.name, "; ".join(role.risks))


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def make_model(settings: OpenAISettings) -> ModelClient | None:
    """Return the client of the model; None if neither key nor endpoint is configured."""
    if not settings.is_configured:
        return None
    return ModelClient(
        api_key=settings.api_key.get_secret_value() if settings.api_key else None,
        base_url=settings.base_url,
        model=settings.model,
        max_retries=settings.max_retries,
        timeout_s=settings.timeout_s,
    )


def _bounds(settings: ServerSettings) -> Bounds:
    return Bounds(
        result=_result_limits(settings),
        statement_timeout_s=settings.query_timeout_s,
        request_timeout_s=settings.request_timeout_s,
        max_sql_retry=settings.max_sql_retry,
        prompt_tokens=settings.prompt_tokens,
    )


def _result_limits(settings: ServerSettings) -> RowLimits:
    return RowLimits(
        settings.max_result_rows,
        settings.max_result_bytes,
        settings.max_cell_bytes,
        max_text_bytes=settings.max_result_tokens * MAX_CHARACTERS_PER_TOKEN,
    )

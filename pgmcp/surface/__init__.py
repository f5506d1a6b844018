"""Answers every request of a host with plain data. Transports encode the results as JSON-RPC.

surface_settings  values from the settings, and the server's name and instructions
arguments         reads arguments into structs: JSON schema, validation, error messages
tools             the four tools
verified_tools    offers verified questions of the operator as tools
schema_tools      the handlers of search_schema and refresh_schema
extensions        how features take part in a call
asking            asks a person which reading of a question is meant
resources         the schema and stored results as resources
prompts           instructions for the model that a person starts by name
completions       suggested values while a person types an argument
changes           notifications about changed resources and tools
presenter         results of the pipeline as replies within a token budget
schema_pages      a whole schema as text, in pages if it is long
caller            the host behind a request
reply             replies and errors

`Surface` needs two objects that become available at different times: the settings and the pipeline. The
lists of tools and resources need only the settings, so they can be sent while the rest of the program still
loads. (The list of the operator's tools waits for the pipeline if callers have database roles of their own.)
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pgmcp.answers.failure import render_error
from pgmcp.errors import (
    MAX_NAME_CHARACTERS,
    PgmcpError,
    SettingsError,
    SqlRejectedError,
    StatementFailedError,
)
from pgmcp.surface import completions, prompts, resources
from pgmcp.surface.caller import Caller
from pgmcp.surface.changes import Audience, Event, Notify, ToolsListChanged, subscribe_to_schemas
from pgmcp.surface.reply import INTERNAL_ERROR, INVALID_PARAMS, RequestError, ToolReply
from pgmcp.surface.surface_settings import INSTRUCTIONS, SERVER_INFO, SurfaceSettings
from pgmcp.untrusted import escape_untrusted_block, shorten

if TYPE_CHECKING:
    from pgmcp.fleet.answers import AnswerRelay
    from pgmcp.identity import Principal
    from pgmcp.pipeline import Pipeline
    from pgmcp.surface.asking import Asker
    from pgmcp.surface.presenter import Presenter
    from pgmcp.surface.tools import Tool

__all__ = [
    "INSTRUCTIONS",
    "SERVER_INFO",
    "Backend",
    "Caller",
    "RequestError",
    "Surface",
    "SurfaceSettings",
    "ToolReply",
    "TraceRequest",
]

logger = logging.getLogger(__name__)

TraceRequest = Callable[
    [str, Mapping[str, Any], Mapping[str, Any]], AbstractContextManager[Callable[[str], None]]
]
"""Wraps a request in a span. Its arguments are the method, the params, and attributes of the span.

The context manager yields a function that marks the span as failed.
"""

_DEFECT = "defect: this call failed in a way that was not anticipated\nhint: the server's log has the details"


@dataclass(frozen=True, slots=True)
class Backend:
    """The objects that answer requests once they are built.

    Attributes:
        pipeline: answers questions and runs statements.
        presenter: makes replies from answers.
        asker: asks a person which reading is meant.
        trace: wraps requests in spans; None unless requests are traced.
        metrics: returns the metrics in the text format of Prometheus; None if the settings do not offer them.
        relay: passes a person's answer to the server of the fleet that waits for it; None without a fleet.
    """

    pipeline: "Pipeline"
    presenter: "Presenter"
    asker: "Asker"
    trace: TraceRequest | None = None
    metrics: Callable[[], bytes] | None = None
    relay: "AnswerRelay | None" = None


class Surface:
    """Tools, resources, prompts and completions, for any transport.

    Args:
        settings: done when the settings have been read, or are invalid.
        backend: done when the pipeline has been built, or has failed to build.
    """

    def __init__(
        self, settings: "asyncio.Future[SurfaceSettings]", backend: "asyncio.Future[Backend]"
    ) -> None:
        self._settings = settings
        self._backend = backend
        self._settings_done = _event_of(settings)
        self._backend_done = _event_of(backend)

    def load(self) -> None:
        """Import the modules that a list of tools needs. Slow: do not call it on the event loop."""
        import pgmcp.surface.tools  # noqa: F401

    def subscribe(self, notify: Callable[[Sequence[Event]], None]) -> None:
        """Call `notify` on the event loop with every later change that concerns a caller without a token."""

        def tell(events: Sequence[Event], concerns: Audience) -> None:
            if concerns(None):
                notify(events)

        self.subscribe_all(tell)

    def subscribe_all(self, notify: Notify) -> None:
        """Call `notify` on the event loop with every later change and a test of which callers it concerns."""

        def begin(backend: "asyncio.Future[Backend]") -> None:
            if not backend.cancelled() and backend.exception() is None:
                subscribe_to_schemas(backend.result().pipeline, notify)

        self._backend.add_done_callback(begin)
        self._settings.add_done_callback(lambda _: self._subscribe_to_tools(notify))

    def _subscribe_to_tools(self, notify: Notify) -> None:
        tools = self._known_settings().verified_tools
        if tools is not None:
            loop = asyncio.get_running_loop()

            def tell() -> None:
                # Which callers can see a tool is decided when they list the tools.
                loop.call_soon_threadsafe(notify, (ToolsListChanged(),), lambda _: True)

            tools.subscribe(tell)

    @property
    def trace(self) -> TraceRequest | None:
        """The function that wraps requests in spans; None without tracing or before the pipeline is built."""
        is_built = self._backend.done() and not self._backend.cancelled() and not self._backend.exception()
        return self._backend.result().trace if is_built else None

    @property
    def is_settled(self) -> bool:
        """Whether the pipeline has been built, or has failed to build."""
        return self._backend.done()

    async def wait_until_built(self) -> None:
        """Wait until the pipeline has been built, or has failed to build."""
        if not self._backend.done():
            await self._backend_done.wait()

    async def list_tools(self, cursor: str | None, principal: "Principal | None" = None) -> dict[str, Any]:
        """Return a page of the protocol's list of tools.

        Raises:
            RequestError: no page begins at the cursor.
        """
        await self._wait_for_settings()
        tools = [*self._tools.values(), *await self._visible_tools(principal)]
        return resources.page_of("tools", [tool.definition for tool in tools], cursor)

    def has_tool(self, name: str) -> bool:
        """Return whether a tool of this name is known now; False before the settings have been read."""
        if not self._settings.done():
            return False
        verified = self._known_settings().verified_tools
        return name in self._tools or (verified is not None and name in verified.known)

    async def _verified_tools(self) -> "dict[str, Tool]":
        """Return the operator's tools in the current context file."""
        tools = self._known_settings().verified_tools
        return {} if tools is None else await asyncio.to_thread(tools.read)

    async def _visible_tools(self, principal: "Principal | None") -> "list[Tool]":
        """Return the operator's tools without those of databases in which the caller has no role."""
        found = list((await self._verified_tools()).values())
        verified = self._known_settings().verified_tools
        mapped = () if verified is None else verified.mapped
        if not any(tool.database in mapped for tool in found):
            return found
        if not self._backend.done():
            await self._backend_done.wait()
        if self._backend.cancelled() or self._backend.exception():
            return found  # calls will say why they fail
        has_role = self._backend.result().pipeline.databases.has_role
        return [tool for tool in found if tool.database not in mapped or has_role(tool.database, principal)]

    async def call_tool(self, name: str, raw_arguments: Mapping[str, Any], caller: Caller) -> ToolReply:
        """Call a tool; every failure is a reply that a model can read.

        Raises:
            RequestError: there is no such tool.
        """
        if not self._settings.done():
            await self._wait_for_settings()
        tool = self._tools.get(name) or (await self._verified_tools()).get(name)
        if tool is None:
            raise RequestError(INVALID_PARAMS, f"Unknown tool: {shorten(name, MAX_NAME_CHARACTERS)}")
        try:
            backend = self._backend.result() if self._backend.done() else await self._built()
            arguments, notes = tool.arguments.read(raw_arguments)
            return await tool.run(backend, arguments, notes, caller)
        except PgmcpError as error:
            return ToolReply.from_text(_describe(error), is_error=True)
        except Exception:
            logger.exception("%s failed in a way that was not anticipated", name)
            return ToolReply.from_text(_DEFECT, is_error=True)

    async def list_resources(
        self, cursor: str | None, principal: "Principal | None" = None
    ) -> dict[str, Any]:
        """Return a page of the protocol's list of resources.

        Raises:
            RequestError: no page begins at the cursor.
        """
        settings = await self._wait_for_settings()
        is_built = self._backend.done() and not self._backend.exception()
        pipeline = self._backend.result().pipeline if is_built else None
        return resources.list_resources(settings, pipeline, cursor, principal)

    def list_templates(self, cursor: str | None) -> dict[str, Any]:
        """Return a page of the list of resource templates; raise RequestError for a wrong cursor."""
        return resources.page_of("resourceTemplates", resources.TEMPLATES, cursor)

    async def read_resource(self, uri: str, caller: Caller) -> dict[str, Any]:
        """Return the protocol's content of a resource.

        Raises:
            RequestError: there is no such resource, or it cannot be read now.
        """
        backend = await self._built_for_request()
        return await resources.read_resource(
            self._known_settings(), backend.pipeline, backend.presenter, uri, caller
        )

    async def check_subscribable(self, uri: str) -> None:
        """Refuse a subscription to a URI for which no changes are reported.

        Raises:
            RequestError: the URI is not the schema of a configured database or a table in it.
        """
        resources.check_subscribable(await self._wait_for_settings(), uri)

    def list_prompts(self, cursor: str | None) -> dict[str, Any]:
        """Return a page of the protocol's list of prompts; raise RequestError for a wrong cursor."""
        return resources.page_of("prompts", [prompt.describe() for prompt in prompts.PROMPTS], cursor)

    async def get_prompt(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return a prompt in the form of the protocol.

        Raises:
            RequestError: there is no such prompt, or its arguments or the settings are invalid.
        """
        settings = await self._wait_for_settings()
        if not settings.database_names:
            await self._built_for_request()  # raises the error that says why there are none
        return prompts.get_prompt(settings, name, arguments)

    async def complete(
        self,
        reference: Mapping[str, Any],
        argument: str,
        typed: str,
        chosen: Mapping[str, str],
        principal: "Principal | None" = None,
    ) -> dict[str, Any]:
        """Return the protocol's completion of an argument; arguments as for `completions.complete`.

        Raises:
            RequestError: there is no such prompt or template, or the pipeline could not be built.
        """
        completions.check_reference(reference)
        backend = await self._built_for_request()
        found = await completions.complete(backend.pipeline, argument, typed, chosen, principal)
        return {"completion": found}

    @cached_property
    def _tools(self) -> "dict[str, Tool]":
        from pgmcp.surface.tools import build_tools

        return build_tools(self._known_settings())

    async def _wait_for_settings(self) -> SurfaceSettings:
        if not self._settings.done():
            await self._settings_done.wait()
        return self._known_settings()

    def _known_settings(self) -> SurfaceSettings:
        """Return the settings; if they are invalid, defaults, so that calls can say why."""
        failed = self._settings.cancelled() or self._settings.exception()
        return SurfaceSettings(answers_questions=True) if failed else self._settings.result()

    async def _built(self) -> Backend:
        if not self._backend.done():
            await self._backend_done.wait()
        return self._backend.result()

    async def _built_for_request(self) -> Backend:
        try:
            return await self._built()
        except PgmcpError as error:
            raise RequestError(INTERNAL_ERROR, _describe(error)) from error


def _event_of(future: "asyncio.Future[Any]") -> asyncio.Event:
    """Return an event that is set when a future is done.

    Requests wait for the event, because a cancelled task would cancel the future that it awaits.
    `asyncio.shield` would prevent that, but thousands of requests may wait, and each one that stops waiting
    would make asyncio search the callbacks of all others.
    """
    done = asyncio.Event()
    future.add_done_callback(lambda _: done.set())
    return done


def _describe(error: PgmcpError) -> str:
    if isinstance(error, SettingsError):  # its message has one line per problem
        lines = escape_untrusted_block(str(error))
        return f"settings: {lines}" + (f"\nhint: {error.hint}" if error.hint else "")
    sql = error.sql if isinstance(error, SqlRejectedError | StatementFailedError) else ""
    return render_error(error, sql=sql)

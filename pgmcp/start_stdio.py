"""Starts and ends the server over stdio, and decides when modules are loaded.

    claim stdin and stdout ─▶ fork server ─▶ first line processed ─▶ settings ─▶ tools/list
                              (drivers)                               └▶ pipeline ─▶ grammars, connection

Hosts wait for `initialize` only for a limited time, so slow imports happen afterwards. If the settings are
invalid, the server keeps running, and every call reports the setting. If the process ended, hosts would only
say that they "could not attach".
"""

import asyncio
import logging
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import TYPE_CHECKING, Any, Final

from pgmcp.ending_signals import run_coroutine
from pgmcp.errors import PgmcpError
from pgmcp.features import make_extensions
from pgmcp.observability.standard_error import log_handler
from pgmcp.settings_reader import SettingsReader
from pgmcp.surface import Backend, Surface, SurfaceSettings
from pgmcp.transport.stdio.descriptors import HostDescriptors
from pgmcp.transport.stdio.server import StdioServer

if TYPE_CHECKING:
    from pgmcp.execution.fork_server import ForkServer
    from pgmcp.generation.context_file import ContextFile
    from pgmcp.settings import Settings

logger = logging.getLogger(__name__)

_READING_GRACE_S: Final = 5.0
"""How long the settings may still be read after the server has been stopped; usually 0.2 s are enough."""

OpenBackend = Callable[
    ["Settings", "ContextFile | None", "ForkServer | None", SurfaceSettings],
    AbstractAsyncContextManager[Backend],
]


def run(descriptors: HostDescriptors, fork_server: "ForkServer | None", *, loads_at_once: bool) -> None:
    """Serve until the host closes standard input, or until SIGTERM or SIGINT.

    Args:
        fork_server: starts the workers; None starts each as a new interpreter. Closed on return.
        descriptors: the channel to the host.
        loads_at_once: whether to load without waiting for a host's first line, and to end on an error.

    Raises:
        PgmcpError: the server could not be built. Raised after the host has closed standard input, or at once
            with `loads_at_once`.
    """
    logging.lastResort = log_handler(logging.WARNING)  # for what is logged before the settings are read
    run_coroutine(lambda: _serve(descriptors, fork_server, loads_at_once=loads_at_once))


async def _serve(
    descriptors: HostDescriptors, fork_server: "ForkServer | None", *, loads_at_once: bool
) -> None:
    loop = asyncio.get_running_loop()
    settings_ready: asyncio.Future[SurfaceSettings] = loop.create_future()
    backend: asyncio.Future[Backend] = loop.create_future()
    surface = Surface(settings_ready, backend)
    server = StdioServer(surface, descriptors)
    _on_signals(server.ended.set)
    server.start()
    loading = loop.create_task(
        _load(server, surface, settings_ready, backend, fork_server, loads_at_once=loads_at_once)
    )
    leaving = loop.create_task(server.ended.wait())
    try:
        ends: list[asyncio.Future[Any]] = [leaving, loading]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        await server.close()
    finally:
        server.ended.set()
        try:
            await loading  # waits until a build in progress has ended, and raises its error
        finally:
            if fork_server is not None:
                fork_server.close()


async def _load(
    server: StdioServer,
    surface: Surface,
    settings_ready: "asyncio.Future[SurfaceSettings]",
    backend: "asyncio.Future[Backend]",
    fork_server: "ForkServer | None",
    *,
    loads_at_once: bool,
) -> None:
    """Read the settings, build the pipeline, and keep it until the host closes standard input."""
    if not loads_at_once:
        await server.opened.wait()
    try:
        reader = SettingsReader()
        reader.start()
        load_composition = asyncio.ensure_future(asyncio.to_thread(_load_composition))
        settings = await _read_settings(reader, server.ended)
        context_file, surface_settings = await asyncio.to_thread(use_settings, settings)
        await asyncio.to_thread(surface.load)
        settings_ready.set_result(surface_settings)
        open_backend = await load_composition
        async with open_backend(settings, context_file, fork_server, surface_settings) as built:
            logger.info("serving %s over stdio", ", ".join(surface_settings.database_names))
            backend.set_result(built)
            await server.ended.wait()
    except BaseException as error:
        for future in (settings_ready, backend):
            _fail(future, error)
        if not isinstance(error, PgmcpError) or loads_at_once:
            raise
        _log_unusable(error)
        await server.ended.wait()
        raise


async def _read_settings(reader: SettingsReader, ended: asyncio.Event) -> "Settings":
    """Return the settings; stop reading if that takes longer than the server runs, as from a pipe."""
    reading = asyncio.ensure_future(asyncio.to_thread(reader.result))
    ending = asyncio.ensure_future(ended.wait())
    await asyncio.wait({reading, ending}, return_when=asyncio.FIRST_COMPLETED)
    ending.cancel()
    await asyncio.wait({reading}, timeout=_READING_GRACE_S)
    if not reading.done():
        reader.stop()
    return await reading


def use_settings(settings: "Settings") -> "tuple[ContextFile | None, SurfaceSettings]":
    """Set up logging, and read the files that the surface needs.

    Raises:
        SettingsError: the context file is invalid.
    """
    from pgmcp.observability.call_log import configure_logging

    configure_logging(settings.log_level, settings.log_format)
    context_file = None
    if settings.context_file:
        from pgmcp.generation.context_file import ContextFile

        context_file = ContextFile(settings.context_file)
    has_verified = context_file is not None and any(
        context_file.get(name).verified for name in settings.databases
    )
    server = settings.server
    extensions = make_extensions(server)
    verified_tools = None
    if context_file is not None and server.verified_tools:
        from pgmcp.surface.verified_tools import VerifiedTools

        verified_tools = VerifiedTools(
            context_file,
            tuple(settings.databases),
            max_tools=server.verified_tools,
            mapped=frozenset(name for name, each in settings.databases.items() if each.maps_roles),
            extensions=extensions,
        )
    surface_settings = SurfaceSettings(
        database_names=tuple(settings.databases),
        max_rows=server.max_result_rows,
        answers_questions=settings.openai.is_configured or has_verified,
        extensions=extensions,
        verified_tools=verified_tools,
    )
    return context_file, surface_settings


def _load_composition() -> OpenBackend:
    from pgmcp.composition import open_backend

    return open_backend


def _fail(future: "asyncio.Future[Any]", error: BaseException) -> None:
    if not future.done():
        if isinstance(error, Exception):
            future.set_exception(error)
            future.exception()  # retrieved here, so that asyncio does not warn; calls report it
        else:
            future.cancel()


def _log_unusable(error: PgmcpError) -> None:
    logging.basicConfig(handlers=[log_handler()])  # the settings of logging may be the invalid ones
    hint = f"\nhint: {error.hint}" if error.hint else ""
    logger.error("no call can be answered; each reply will have this error: %s%s", error, hint)


def _on_signals(stop: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(NotImplementedError):  # Windows: the host ends the server by closing standard input
            loop.add_signal_handler(number, stop)

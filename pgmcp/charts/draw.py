"""Draws the chart of an answer as a PNG in a short-lived process, `drawing_process.py`, with a timeout.

The process gets only the environment variables that a program needs to start. It reads the chart from
standard input and writes the picture to standard output. It is killed at the deadline. If it fails, only the
picture is missing, and a note in the answer's text says why.
"""

import asyncio
import json
import logging
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from pgmcp.answers.answer import Answer
from pgmcp.answers.failure import render_error
from pgmcp.charts.chart import choose_chart
from pgmcp.child_process import away_from_terminal, bare_environment, end
from pgmcp.errors import ChartNotDrawnError
from pgmcp.features import how_to_install
from pgmcp.untrusted import fence_lines, new_fence

SpawnDrawing = Callable[[], Awaitable[Process]]

TIMEOUT_S: Final = 15.0
"""Drawing takes half a second, most of it to start the process. On a busy machine, it can take 5 s."""

_LIFETIME_S = 30
"""After this time the process ends by itself, in case its parent cannot kill it."""

MAX_PICTURE_BYTES: Final = 600_000
"""Hosts reject results near 1 MB, and base64 adds a third; most images have 10 to 60 KB."""

MEMORY_LIMIT_MB: Final = 2_048
"""Limit of writable memory on Linux. The JavaScript engine V8 alone reserves 580 MB, and uses 100 MB."""

WIDTH_PX: Final = 720
_SCALE = 1.5  # pixels of the image per pixel of the chart: sharp on dense screens, but small
_MAX_AT_ONCE = 2
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class Drawer:
    """Draws charts, with a limit on concurrent drawings."""

    def __init__(self, *, timeout_s: float = TIMEOUT_S, spawn: SpawnDrawing | None = None) -> None:
        """Prepare; no process is started before the first drawing.

        Args:
            timeout_s: timeout of the whole call, including the wait for other drawings.
            spawn: starts the drawing process, with pipes to its standard input and output.
        """
        self._timeout_s = timeout_s
        self._spawn = spawn or spawn_drawing
        self._slots = asyncio.Semaphore(_MAX_AT_ONCE)

    async def draw(self, specification: Mapping[str, Any]) -> bytes:
        """Return the PNG of a chart: laid out with a width of 720 pixels, and enlarged 1.5 times.

        Raises:
            ChartNotDrawnError: drawing failed; the message says why.
        """
        chart = json.dumps({**specification, "width": WIDTH_PX}).encode()
        try:
            async with asyncio.timeout(self._timeout_s), self._slots:
                return await self._exchange(chart)
        except TimeoutError:
            message = f"the drawing was stopped after {self._timeout_s:g} s"
            raise ChartNotDrawnError(message, hint="try again, or with fewer rows") from None
        except OSError as error:  # out of memory or processes
            raise ChartNotDrawnError("the drawing process could not be started") from error

    async def _exchange(self, chart: bytes) -> bytes:
        process = await self._spawn()
        assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018
        try:
            process.stdin.write(chart)
            process.stdin.close()
            picture = await _read_bounded(process.stdout)
            await process.wait()
        finally:
            await end(process)
        if process.returncode != 0 or not picture.startswith(_PNG_SIGNATURE):
            raise ChartNotDrawnError(
                f"the drawing process failed (exit code {process.returncode})",
                hint="the rows are complete without the picture; ask for fewer rows, or report the error",
            )
        return picture


async def draw_png(specification: Mapping[str, Any]) -> bytes:
    """Return the PNG of one chart, for callers that draw only one.

    Raises:
        ChartNotDrawnError: drawing failed; the message says why.
    """
    return await Drawer().draw(specification)


async def spawn_drawing() -> Process:
    """Start the drawing process.

    Raises:
        ChartNotDrawnError: vl-convert is not installed.
    """
    if find_spec("vl_convert") is None:
        raise ChartNotDrawnError("vl-convert-python is not installed here", hint=how_to_install("charts"))
    return await asyncio.create_subprocess_exec(
        *drawing_command(),
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        limit=MAX_PICTURE_BYTES + 1,
        env=bare_environment(os.environ),
        **away_from_terminal(),
    )


def drawing_command() -> list[str]:
    """Return the command line of the drawing process."""
    # -P: otherwise the script's folder would be first on sys.path, and its modules would shadow others.
    program = str(Path(__file__).with_name("drawing_process.py"))
    return [sys.executable, "-P", program, str(_LIFETIME_S), str(MEMORY_LIMIT_MB), str(_SCALE)]


async def _read_bounded(stdout: asyncio.StreamReader) -> bytes:
    try:
        await stdout.readexactly(MAX_PICTURE_BYTES + 1)
    except asyncio.IncompleteReadError as end:
        return end.partial
    raise ChartNotDrawnError("the picture became too large", hint="ask for fewer rows")


logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Illustration:
    """An image, or the reason why there is none.

    Attributes:
        note: text for the answer: a description of the image, or the reason why there is none.
        png: None if no chart fits or drawing failed.
    """

    note: str
    png: bytes | None = None


async def illustrate(answer: Answer, drawer: Drawer) -> Illustration:
    """Draw the rows of an answer; if drawing fails, the note says why there is no image."""
    if answer.rows is None:
        return Illustration("No chart: the statement was not executed.")
    rows = list(answer.rows.rows)
    chart = choose_chart(
        answer.rows.columns, rows, title=answer.question or "", is_partial=answer.rows.truncated is not None
    )
    if chart is None:
        return Illustration(_NONE_FITS)
    try:
        png = await drawer.draw(chart.specification(rows))
    except ChartNotDrawnError as error:
        logger.warning("a chart could not be drawn: %s", error)
        return Illustration(f"The chart was not drawn. {render_error(error)}")
    # The description contains names and values of the database, so it is fenced like the rows.
    described = fence_lines([chart.description], new_fence())
    return Illustration(f"A chart of these rows is attached as an image:\n{described}", png)


_NONE_FITS = (
    "No chart fits these rows. A chart needs one of these: a date with a number, one or two categories with "
    "a number, two numbers, or a single number."
)

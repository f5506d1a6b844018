"""The real drawing process: charts of every kind, and its failures."""

import asyncio
import errno
import importlib.util
import json
import os
import signal
import struct
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from pgmcp.answers.answer import Answer, Source
from pgmcp.charts.chart import choose_chart
from pgmcp.charts.draw import MAX_PICTURE_BYTES, WIDTH_PX, Drawer, drawing_command, illustrate
from pgmcp.charts.shape import ChartKind
from pgmcp.charts.specification import Theme
from pgmcp.errors import ChartNotDrawnError
from pgmcp.execution.result import Column, JsonScalar, Rows
from pgmcp.features import how_to_install

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(
        importlib.util.find_spec("vl_convert") is None,
        reason="vl-convert-python is not installed (extra charts)",
    ),
]

PATIENT_S = 60.0
_HOSTILE = [
    "__proto__",
    "constructor",
    "valueOf",
    "'];alert(1)//",
    '{"signal": "x"}',
    "\u202egnp",
    "\ud800",
    "😀" * 90,
]

_RESULTS: dict[ChartKind, tuple[tuple[str, ...], list[list[JsonScalar]]]] = {
    ChartKind.NUMBER: (("text", "numeric"), [["{}", "1234567.89"]]),
    ChartKind.LINE: (
        ("date", "text", "numeric"),
        [[f"2026-{month:02d}-01", text, "1.5"] for month in (1, 2, 3) for text in _HOSTILE],
    ),
    ChartKind.BARS: (("text", "numeric"), [[text, "1e300"] for text in _HOSTILE]),
    ChartKind.GROUPED_BARS: (
        ("text", "text", "numeric"),
        [[text, series, "-2"] for text in _HOSTILE for series in ("constructor", "b")],
    ),
    ChartKind.SCATTER: (
        ("numeric", "text", "real"),
        [[str(index), _HOSTILE[index % 8], 0.5] for index in range(40)],
    ),
}


class ScriptedDrawing:
    """Starts a program of the test in place of the drawing process.

    Attributes:
        process: the started process; None before.
        started: set as soon as the process is started.
    """

    def __init__(self, program: str) -> None:
        self._program = program
        self.process: Process | None = None
        self.started = asyncio.Event()

    async def __call__(self) -> Process:
        # A test may have started the process already, before the clock runs.
        if self.process is None:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", self._program, stdin=PIPE, stdout=PIPE, limit=MAX_PICTURE_BYTES + 1
            )
            self.started.set()
        return self.process

    @property
    def exit_code(self) -> int | None:
        """The exit code of the process; None while it runs."""
        assert self.process is not None
        return self.process.returncode


STUCK = "import threading; threading.Event().wait()"
SHOP = Rows((Column("status", "order_status"), Column("count", "bigint")), [["paid", 12], ["shipped", 30]])


def answer_with(rows: Rows | None) -> Answer:
    return Answer(database="shop", sql="select 1", source=Source.DIRECT, rows=rows)


def specification_of(kind: ChartKind, name: str, theme: Theme = Theme.LIGHT) -> dict[str, Any]:
    types, rows = _RESULTS[kind]
    chart = choose_chart([Column(name, type_name) for type_name in types], rows, title=name)
    assert chart is not None
    assert chart.kind is kind
    return chart.specification(rows, theme=theme)


@pytest.mark.parametrize("kind", ChartKind)
@pytest.mark.parametrize("name", ["count", "toString", "😀" * 90])
async def test_every_kind_of_chart_is_drawn_whatever_it_is_called(kind: ChartKind, name: str) -> None:
    picture = await Drawer(timeout_s=PATIENT_S).draw(specification_of(kind, name))

    width_px, _ = struct.unpack(">II", picture[16:24])
    assert picture.startswith(b"\x89PNG")
    assert width_px == pytest.approx(WIDTH_PX * 1.5, abs=2)


async def test_the_themes_give_different_pictures() -> None:
    drawer = Drawer(timeout_s=PATIENT_S)
    light, dark = [
        await drawer.draw(specification_of(ChartKind.NUMBER, "count", theme))
        for theme in (Theme.LIGHT, Theme.DARK)
    ]

    assert light != dark


async def test_an_invalid_specification_gives_an_error_and_no_picture() -> None:
    with pytest.raises(ChartNotDrawnError, match="failed"):
        await Drawer(timeout_s=PATIENT_S).draw({"mark": 7})


async def test_a_chart_that_loads_a_url_is_not_drawn() -> None:
    specification = {"data": {"url": "http://127.0.0.1:9/rows.json"}, "mark": "bar", "encoding": {}}

    with pytest.raises(ChartNotDrawnError, match="failed"):
        await Drawer(timeout_s=PATIENT_S).draw(specification)


async def test_the_front_never_loads_the_drawing_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "vl_convert", raising=False)  # another test may have loaded it

    await Drawer(timeout_s=PATIENT_S).draw(specification_of(ChartKind.NUMBER, "count"))

    assert "vl_convert" not in sys.modules


async def test_the_drawing_process_loads_nothing_of_the_front() -> None:
    program = drawing_command()[2]
    script = (
        "import runpy, sys; sys.argv = ['', '60', '4096', '1']\n"
        f"runpy.run_path({program!r}, run_name='__main__')\n"
        "sys.exit(any(name.partition('.')[0] == 'pgmcp' for name in sys.modules))"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-c", script, stdin=PIPE, stdout=PIPE
    )
    with anyio.fail_after(PATIENT_S):
        chart = {**specification_of(ChartKind.NUMBER, "count"), "width": 100}
        picture, _ = await process.communicate(json.dumps(chart).encode())

    assert (process.returncode, picture[:4]) == (0, b"\x89PNG")


@pytest.mark.parametrize("kind", ChartKind)
async def test_no_expression_of_vega_contains_text_from_the_database(kind: ChartKind) -> None:
    compiled = await compile_to_vega(specification_of(kind, "a name") | {"width": 400})

    expressions = list(expressions_in(compiled))
    assert expressions
    assert not any(text in expression for expression in expressions for text in ("a name", "alert"))


async def compile_to_vega(specification: dict[str, Any]) -> dict[str, Any]:
    """Return Vega's specification for one of Vega-Lite; compile it in a separate process."""
    program = "import json, sys, vl_convert; print(json.dumps(vl_convert.vegalite_to_vega(sys.stdin.read())))"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-c", program, stdin=PIPE, stdout=PIPE
    )
    with anyio.fail_after(PATIENT_S):
        compiled, _ = await process.communicate(json.dumps(specification).encode())
    vega: dict[str, Any] = json.loads(compiled)
    return vega


def expressions_in(vega: Any) -> Iterator[str]:
    """Yield every text that Vega evaluates."""
    if isinstance(vega, dict):
        evaluated = ("signal", "expr", "update", "init", "test")
        yield from (text for key, text in vega.items() if key in evaluated and isinstance(text, str))
    for inner in vega.values() if isinstance(vega, dict) else vega if isinstance(vega, list) else ():
        yield from expressions_in(inner)


async def run_drawing_process(*arguments: str) -> Process:
    """Start the real drawing process with its arguments: seconds, megabytes, scale."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-P", drawing_command()[2], *arguments, stdin=PIPE, stdout=PIPE, stderr=DEVNULL
    )


@pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded on Linux only")
async def test_a_drawing_process_beyond_its_memory_limit_ends() -> None:
    process = await run_drawing_process("60", "200", "1")
    with anyio.fail_after(PATIENT_S):
        picture, _ = await process.communicate(json.dumps(specification_of(ChartKind.LINE, "x")).encode())

    assert (picture, process.returncode == 0) == (b"", False)


@pytest.mark.skipif(not hasattr(signal, "alarm"), reason="the system has no alarm")
async def test_a_drawing_process_that_is_not_killed_ends_by_itself() -> None:
    process = await run_drawing_process("1", "2048", "1")
    with anyio.fail_after(PATIENT_S):
        await process.wait()

    assert process.returncode == -signal.SIGALRM
    await process.communicate()


async def test_an_answer_gets_a_picture_and_its_description() -> None:
    illustration = await illustrate(answer_with(SHOP), Drawer(timeout_s=PATIENT_S))

    assert illustration.png is not None
    assert (
        "Bar chart of count by status: 2 bars; highest 30 (shipped), lowest 12 (paid)." in illustration.note
    )


async def test_a_stuck_drawing_loses_only_the_picture_and_leaves_no_process() -> None:
    spawn = ScriptedDrawing(STUCK)
    await spawn()

    illustration = await illustrate(answer_with(SHOP), Drawer(timeout_s=0.05, spawn=spawn))

    assert illustration.png is None
    assert "chart_not_drawn: the drawing was stopped after 0.05 s" in illustration.note
    assert spawn.exit_code == -signal.SIGKILL


async def test_a_cancelled_drawing_leaves_no_process() -> None:
    spawn = ScriptedDrawing(STUCK)
    drawing = asyncio.create_task(Drawer(timeout_s=PATIENT_S, spawn=spawn).draw({}))
    with anyio.fail_after(PATIENT_S):
        await spawn.started.wait()
        drawing.cancel()
        await asyncio.wait([drawing])

    assert drawing.cancelled()
    assert spawn.exit_code == -signal.SIGKILL


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("", "failed"),
        ("import os; os.abort()", "failed"),
        ("print('no picture')", "failed"),
        (f"import sys; sys.stdout.buffer.write(bytes({MAX_PICTURE_BYTES * 3}))", "too large"),
    ],
)
async def test_a_process_without_a_picture_is_reaped_and_reported(program: str, message: str) -> None:
    spawn = ScriptedDrawing(program)

    with pytest.raises(ChartNotDrawnError, match=message):
        await Drawer(timeout_s=PATIENT_S, spawn=spawn).draw(specification_of(ChartKind.LINE, "x"))

    assert spawn.exit_code is not None


async def test_if_no_process_can_be_started_only_the_picture_is_missing() -> None:
    async def spawn() -> Process:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    illustration = await illustrate(answer_with(SHOP), Drawer(spawn=spawn))

    assert illustration.png is None
    assert "chart_not_drawn: the drawing process could not be started" in illustration.note


async def test_without_the_library_the_answer_says_how_to_get_it() -> None:
    async def spawn() -> Process:
        raise ChartNotDrawnError("vl-convert-python is not installed here", hint=how_to_install("charts"))

    illustration = await illustrate(answer_with(SHOP), Drawer(spawn=spawn))

    assert illustration.png is None
    assert f"hint: {how_to_install('charts')}" in illustration.note


@pytest.mark.parametrize(
    ("rows", "note"),
    [
        (None, "No chart: the statement was not executed."),
        (Rows((Column("a", "text"),), [["b"], ["c"]]), "No chart fits these rows."),
    ],
)
async def test_no_process_is_started_if_no_chart_fits(rows: Rows | None, note: str) -> None:
    spawn = ScriptedDrawing(STUCK)

    illustration = await illustrate(answer_with(rows), Drawer(spawn=spawn))

    assert illustration.note.startswith(note)
    assert spawn.process is None

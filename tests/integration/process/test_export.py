"""The real export process: the files in the folder after success and after failures."""

import asyncio
import csv
import importlib.util
import json
import os
import signal
import stat
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from pgmcp.errors import ExportFailedError
from pgmcp.execution.result import Column, EncodedRows, JsonScalar, Rows, Truncation
from pgmcp.export.export import Exporter, ExportFormat, spawn_writing

pytestmark = pytest.mark.anyio

MOMENT = datetime(2026, 11, 22, 20, 48, 19, tzinfo=UTC)


_STUCK = """
import json, sys, time
header = json.loads(sys.stdin.buffer.readline())
open(header["partial_path"], "w").close()
time.sleep(60)
"""
_DYING = _STUCK.replace("time.sleep(60)", "sys.exit(9)")


def skip_without_pyarrow() -> None:
    if importlib.util.find_spec("pyarrow") is None:
        pytest.skip("pyarrow is not installed (extra parquet)")


def packed(cells: list[list[JsonScalar]], types: Sequence[str] = ("integer", "text")) -> Rows:
    columns = tuple(Column(f"column {number}", name) for number, name in enumerate(types))
    return Rows(columns, EncodedRows.encode(cells))


def many(count: int) -> Rows:
    return packed([[number, "x" * 100] for number in range(count)])


async def test_a_csv_file_has_a_random_name_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    exporter = Exporter(tmp_path, now=lambda: MOMENT)

    exported = await exporter.write(packed([[1, "ä,b"], [None, ""]]), ExportFormat.CSV)

    (file,) = tmp_path.iterdir()
    assert exported.path == str(file)
    assert file.match("pgmcp-20261122T204819Z-????????.csv")
    assert file.read_bytes() == 'column 0,column 1\r\n1,"ä,b"\r\n,""\r\n'.encode()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (exported.row_count, exported.size_bytes) == (2, file.stat().st_size)


async def test_a_file_that_a_person_named_has_the_mode_of_other_files(tmp_path: Path) -> None:
    beside, file, shared = (tmp_path / name for name in ("beside", "new.csv", "shared.csv"))
    beside.touch()
    shared.touch()
    shared.chmod(0o640)

    for each in (file, shared):
        await Exporter(tmp_path).write_to(packed([[1, "a"]]), ExportFormat.CSV, each)

    assert stat.S_IMODE(file.stat().st_mode) == stat.S_IMODE(beside.stat().st_mode)
    assert stat.S_IMODE(shared.stat().st_mode) == 0o640
    assert shared.read_bytes() == file.read_bytes()


async def test_the_limit_that_cut_the_rows_is_reported_with_the_file(tmp_path: Path) -> None:
    rows = packed([[1, "…"]])
    bound = Rows(rows.columns, rows.rows, Truncation.BYTES, cut_cells=1)

    exported = await Exporter(tmp_path).write(bound, ExportFormat.CSV)

    assert (exported.truncated, exported.cut_cells) == (Truncation.BYTES, 1)


async def test_exports_at_the_same_moment_have_different_files(tmp_path: Path) -> None:
    exporter = Exporter(tmp_path, now=lambda: MOMENT)

    await asyncio.gather(*(exporter.write(many(10), ExportFormat.CSV) for _ in range(4)))

    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize("file_format", ExportFormat)
async def test_a_full_disk_gives_an_error_and_leaves_no_file(
    tmp_path: Path, file_format: ExportFormat
) -> None:
    resource = pytest.importorskip("resource")
    if file_format is ExportFormat.PARQUET:
        skip_without_pyarrow()

    async def spawn() -> Process:
        # The process inherits the limit on the size of files; beyond it, a write fails as on a full disk.
        unbound = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, unbound[1]))
        try:
            return await spawn_writing()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, unbound)

    with pytest.raises(ExportFailedError, match="File too large"):
        await Exporter(tmp_path, spawn=spawn).write(
            packed([[number, str(number) * 9] for number in range(30_000)]), file_format
        )

    assert list(tmp_path.iterdir()) == []


async def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ExportFailedError, match="No such file or directory") as failed:
        await Exporter(tmp_path / "gone").write(many(1), ExportFormat.CSV)

    assert "PG_MCP_SERVER_EXPORT_DIR" in failed.value.hint


async def test_a_read_only_folder_is_reported(tmp_path: Path) -> None:
    folder = tmp_path / "only_read"
    folder.mkdir(mode=0o555)
    if os.access(folder, os.W_OK):  # root may write to it, but not to /proc/self
        folder = Path("/proc/self")
    if not folder.is_dir():
        pytest.skip("no folder that this user may not write to")

    with pytest.raises(ExportFailedError, match="could not be written"):
        await Exporter(folder).write(many(1), ExportFormat.CSV)


async def test_no_file_remains_when_the_caller_cancels(tmp_path: Path) -> None:
    exporter = Exporter(tmp_path, spawn=lambda: spawn_program(_STUCK))
    async with anyio.create_task_group() as group:
        group.start_soon(exporter.write, many(100_000), ExportFormat.CSV)
        with anyio.fail_after(20):
            while not list(tmp_path.iterdir()):
                await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    await exporter.close()

    assert list(tmp_path.iterdir()) == []


async def spawn_program(text: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", text, stdin=PIPE, stdout=PIPE, stderr=DEVNULL
    )


async def test_a_process_that_dies_is_reported_and_its_file_removed(tmp_path: Path) -> None:
    with pytest.raises(ExportFailedError, match="exit code 9"):
        await Exporter(tmp_path, spawn=lambda: spawn_program(_DYING)).write(many(100_000), ExportFormat.CSV)

    assert list(tmp_path.iterdir()) == []


async def test_a_stuck_process_is_killed_and_its_file_removed(tmp_path: Path) -> None:
    exporter = Exporter(tmp_path, timeout_s=0.5, spawn=lambda: spawn_program(_STUCK))

    with anyio.fail_after(20), pytest.raises(ExportFailedError, match=r"stopped after 0\.5 s"):
        await exporter.write(many(100_000), ExportFormat.CSV)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows ends a process without a signal")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGALRM"])
async def test_a_signal_while_the_file_is_written_leaves_no_part_of_it(name: str, tmp_path: Path) -> None:
    reply = await write_until_signalled(name, signal.SIG_DFL, tmp_path)

    assert reply["failure"] in ("it took too long", f"it was stopped by {name}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGHUP")
@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT"])
async def test_a_file_is_completed_if_the_signal_is_ignored_as_under_nohup(name: str, tmp_path: Path) -> None:
    reply = await write_until_signalled(name, signal.SIG_IGN, tmp_path)

    assert reply == {"bytes": (tmp_path / "a.csv").stat().st_size}


async def write_until_signalled(name: str, inherited: signal.Handlers, folder: Path) -> dict[str, Any]:
    """Send a signal to a process that writes a file; return its reply.

    Args:
        inherited: the signal's action that the process inherits.
    """
    number = signal.Signals[name]
    old = signal.signal(number, inherited)
    try:
        process = await spawn_writing()
    finally:
        signal.signal(number, old)
    paths = {"path": str(folder / "a.csv"), "partial_path": str(folder / "a.part"), "is_private": True}
    row_count = 400_000
    header = json.dumps(paths | {"format": "csv", "columns": [("a", "text")], "row_count": row_count})
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(send_signal_once_written, process, name, folder)
            reply, _ = await process.communicate(header.encode() + b"\n" + b'["x, y"]\n' * row_count)
    read: dict[str, Any] = json.loads(reply)
    return read


async def send_signal_once_written(process: Process, name: str, folder: Path) -> None:
    while not list(folder.iterdir()):
        assert process.returncode is None, "the process ended before it wrote"
        await anyio.lowlevel.checkpoint()
    process.send_signal(signal.Signals[name])


@pytest.mark.parametrize("cut", [b"", b"[1]\n", b"[1]\n[2"])
async def test_incomplete_rows_create_no_file(cut: bytes, tmp_path: Path) -> None:
    process = await spawn_writing()
    paths = {"path": str(tmp_path / "a.csv"), "partial_path": str(tmp_path / "a.part"), "is_private": True}
    header = json.dumps(paths | {"format": "csv", "columns": [("a", "integer")], "row_count": 2}).encode()

    reply, _ = await process.communicate(header + b"\n" + cut)

    assert b"did not arrive completely" in reply
    assert list(tmp_path.iterdir()) == []


async def test_a_million_cells_are_read_back_as_they_were(tmp_path: Path) -> None:
    cells: list[list[JsonScalar]] = [[str(number)] * 10 for number in range(20_000)]

    exported = await Exporter(tmp_path).write(packed(cells, ["text"] * 10), ExportFormat.CSV)

    with Path(exported.path).open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file))[1:] == cells

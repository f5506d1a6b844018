"""Registers exports: the argument `export` of the tools that return rows, its settings, and `--parquet`."""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from msgspec import Meta
from msgspec.structs import replace

from pgmcp.errors import InvalidArgumentError
from pgmcp.execution.result import RowLimits, Rows
from pgmcp.features import AnswerExtension, Feature, ToolArgument

if TYPE_CHECKING:
    from pgmcp.answers.answer import Answer
    from pgmcp.cli.options import AnswerOption
    from pgmcp.export.export import Exporter
    from pgmcp.settings import ServerSettings
    from pgmcp.settings.section import Section

_NEEDS: Final = "an operator can allow it by naming a folder in PG_MCP_SERVER_EXPORT_DIR"
_FILE_TIMEOUT_S: Final = 55.0
"""Less than the 60 s after which the process that writes ends itself (`_LIFETIME_S` in `export`)."""

_TYPE: Final = Annotated[
    Literal["csv", "parquet"] | None,
    Meta(description="Also write all rows to a file, for large results"),
]


class ExportExtension(AnswerExtension):
    """Writes the rows of an answer to a file; offered where the operator has named a folder."""

    def __init__(self, folder: Path | None = None, row_limits: RowLimits | None = None) -> None:
        """Offer exports if there is a folder.

        Args:
            folder: where files are written; None offers no exports.
            row_limits: limits of a result that is written to a file.
        """
        self._folder = folder
        self.argument = ToolArgument("export", _TYPE, None, needs="" if folder else _NEEDS)
        if folder is not None:
            self.row_limits = row_limits
            self.writes_files = True
            self.more_rows_hint = 'have them written to a file: export="csv"'

    def check(self, value: Any, *, is_executed: bool) -> None:
        """Refuse a format that cannot be written, or a call without rows.

        Raises:
            InvalidArgumentError: the call fetches no rows.
            ExportFailedError: pyarrow is not installed.
        """
        if value is None:
            return
        if not is_executed:
            raise InvalidArgumentError(
                "there is nothing to export", hint='use return_type="result" or "both"'
            )
        from pgmcp.export.export import ExportFormat, check_format

        check_format(ExportFormat(value))

    async def attach(self, answer: "Answer", value: Any) -> "Answer":
        """Return the answer with an attachment for the file that its rows were written to.

        Raises:
            ExportFailedError: the file could not be written.
        """
        if value is None or answer.rows is None or self._exporter is None:
            return answer
        from pgmcp.export.export import ExportFormat

        exported = await self._exporter.write(answer.rows, ExportFormat(value))
        return replace(answer, attachments=(*answer.attachments, exported.as_attachment()))

    async def close(self) -> None:
        """Wait until cancelled exports are cleaned up."""
        if "_exporter" in vars(self) and self._exporter is not None:
            await self._exporter.close()

    @cached_property
    def _exporter(self) -> "Exporter | None":
        if self._folder is None:
            return None
        from pgmcp.export.export import Exporter

        return Exporter(self._folder)


def _extend_answers(server: "ServerSettings | None") -> AnswerExtension:
    if server is None:
        return ExportExtension()
    from pgmcp.export.settings import ExportSettings

    assert isinstance(server, ExportSettings)  # noqa: S101 # its fields are registered below
    limits = RowLimits(server.export_max_rows, server.export_max_bytes, server.max_cell_bytes)
    return ExportExtension(server.export_dir, limits)


def _file_limits(server: "ServerSettings") -> RowLimits:
    """Return the limits of rows that a command writes to a file; never lower than those of an answer."""
    from pgmcp.export.settings import ExportSettings

    assert isinstance(server, ExportSettings)  # noqa: S101 # as above
    return RowLimits(
        max(server.export_max_rows, server.max_result_rows),
        max(server.export_max_bytes, server.max_result_bytes),
        server.max_cell_bytes,
    )


async def _write_file(rows: Rows, file_format: str, path: Path) -> int:
    """Write rows to a file that a person named.

    Raises:
        ExportFailedError: the file cannot be written.
    """
    from pgmcp.export.export import Exporter, ExportFormat, check_format

    chosen = ExportFormat(file_format)
    check_format(chosen)
    exporter = Exporter(path.parent, timeout_s=_FILE_TIMEOUT_S)
    try:
        return (await exporter.write_to(rows, chosen, path)).size_bytes
    finally:
        await exporter.close()


def _answer_options() -> "Iterable[AnswerOption]":
    from pgmcp.export.command_line import PARQUET_OPTION

    return [PARQUET_OPTION]


def _settings() -> "type[Section]":
    from pgmcp.export.settings import ExportSettings

    return ExportSettings


FEATURE: Final = Feature(
    name="export",
    extend_answers=_extend_answers,
    file_limits=_file_limits,
    write_file=_write_file,
    server_settings=_settings,
    answer_options=_answer_options,
)

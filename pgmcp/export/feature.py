"""Registers exports: the argument `export` of the tools that return rows, and their settings."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from msgspec import Meta
from msgspec.structs import replace

from pgmcp.errors import InvalidArgumentError
from pgmcp.execution.result import RowLimits
from pgmcp.features import AnswerExtension, Feature, ToolArgument

if TYPE_CHECKING:
    from pgmcp.answers.answer import Answer
    from pgmcp.export.export import Exporter
    from pgmcp.settings import ServerSettings
    from pgmcp.settings.section import Section

_NEEDS: Final = "an operator can allow it by naming a folder in PG_MCP_SERVER_EXPORT_DIR"
_TYPE: Final = Annotated[
    Literal["csv", "parquet"] | None,
    Meta(description="Also write all rows to a file, for large results"),
]


class ExportExtension(AnswerExtension):
    """Writes the rows of an answer to a file; offered where the operator has named a folder."""

    def __init__(self, folder: Path | None = None, row_limits: RowLimits | None = None) -> None:
        """Without a folder, no exports are offered.

        Args:
            row_limits: of a result that is written to a file.
        """
        self._folder = folder
        self.argument = ToolArgument("export", _TYPE, None, needs="" if folder else _NEEDS)
        if folder is not None:
            self.row_limits = row_limits
            self.writes_files = True
            self.more_rows_hint = 'have them written to a file: export="csv"'

    def check(self, value: Any, *, is_executed: bool) -> None:
        """Refuse a format that cannot be written, or a call without rows."""
        if value is None:
            return
        if not is_executed:
            raise InvalidArgumentError(
                "there is nothing to export", hint="return_type result or both has rows"
            )
        from pgmcp.export.export import ExportFormat, check_format

        check_format(ExportFormat(value))

    async def attach(self, answer: "Answer", value: Any) -> "Answer":
        """Write the rows to a file."""
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


def _settings() -> "type[Section]":
    from pgmcp.export.settings import ExportSettings

    return ExportSettings


FEATURE: Final = Feature(name="export", extend_answers=_extend_answers, server_settings=_settings)

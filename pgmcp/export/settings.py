"""Defines the settings of exports, in the group `server`."""

from dataclasses import dataclass

from pgmcp.settings.field_types import WritableFolder
from pgmcp.settings.section import Section, number, unset


@dataclass(frozen=True, kw_only=True)
class ExportSettings(Section):
    """Whether rows may be written to files, and how many."""

    export_dir: WritableFolder | None = unset(
        "folder for exports as CSV or Parquet, written on request; files are never removed. No exports "
        "if unset"
    )
    export_max_rows: int = number(100_000, "rows", 1, 1_000_000, "maximum rows of one export")
    export_max_bytes: int = number(
        64 * 1024**2, "bytes", 1024, 128 * 1024**2, "maximum bytes of cell text in one export"
    )

"""What may be wrong with a query that ran: values, default filters, and rows that a join repeats."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from pgmcp.execution.result import Rows, StatementOrigin
from pgmcp.lookup.default_filters import MissingFilter, drop_idle, find_missing_filters
from pgmcp.lookup.fan_out import FanOut, drop_unrepeated, find_suspects
from pgmcp.lookup.value_check import Mismatch
from pgmcp.pipeline.call import Request
from pgmcp.pipeline.statements import LOOKUP_TIMEOUT_S, StatementRunner
from pgmcp.pipeline.value_mismatch import find_mismatches
from pgmcp.validation.references import find_references

KEPT_MISMATCH = "{column} = {text!r} is not in the data as written; the answer may miss what is meant"


@dataclass(frozen=True, slots=True)
class Findings:
    """What the checks found.

    Attributes:
        mismatches: texts that a column does not contain.
        remarks: on rows that may be too many.
    """

    mismatches: tuple[Mismatch, ...] = ()
    remarks: tuple[MissingFilter | FanOut, ...] = ()

    @property
    def is_offered(self) -> bool:
        """Whether the model should be asked to reconsider."""
        return bool(self.mismatches) or any(remark.is_offered for remark in self.remarks)

    @property
    def offered_remarks(self) -> tuple[str, ...]:
        """The remarks that the model should see."""
        return tuple(remark.describe() for remark in self.remarks if remark.is_offered)

    def notes(self) -> Iterator[str]:
        """Yield what a reader of the answer should know."""
        for mismatch in self.mismatches:
            yield KEPT_MISMATCH.format(column=mismatch.column, text=mismatch.text)
        for remark in self.remarks:
            yield remark.describe()


async def check_query(request: Request, sql: str, rows: Rows | None, statements: StatementRunner) -> Findings:
    """Return what may be wrong with a query that ran."""
    mismatches = await find_mismatches(request, sql, rows, statements)
    return Findings(tuple(mismatches), tuple(await _find_remarks(request, sql, statements)))


async def _find_remarks(
    request: Request, sql: str, statements: StatementRunner
) -> list[MissingFilter | FanOut]:
    catalog = await request.database.schema.get()
    suspects = await asyncio.to_thread(find_suspects, sql, catalog)
    missing = []
    if request.context.filters:
        references = await asyncio.to_thread(find_references, sql)
        missing = find_missing_filters(references, request.context.filters, catalog, request.question)
    if not suspects and not missing:
        return []
    # The probes contain text of the statement and of the operator: the search path resolves its names.
    fetch = statements.lookup(request.database, timeout_s=LOOKUP_TIMEOUT_S, origin=StatementOrigin.CALLER)
    return [*await drop_idle(missing, fetch), *await drop_unrepeated(suspects, fetch)]

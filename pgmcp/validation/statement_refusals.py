"""Raises the errors that refuse a statement: what is not allowed, where it is, and what to write instead."""

from typing import Any, NoReturn

from pgmcp.errors import SqlRejectedError
from pgmcp.validation.grammar import Node, character_offset
from pgmcp.validation.refusal_reasons import TEXT_BY_REASON, RefusalReason, hint_for_call
from pgmcp.validation.statement_kind import CHANGING_NODES, describe, locking_clause_offset
from pgmcp.validation.uncertain_calls import Explanation


class StatementRefusals:
    """Refuses one statement.

    Args:
        sql: its text.
    """

    def __init__(self, sql: str) -> None:
        self._sql = sql

    def _refuse_call(
        self, name: str, reason: RefusalReason, fields: Node, explanation: Explanation | None
    ) -> NoReturn:
        why, hint = explanation or (TEXT_BY_REASON[reason], hint_for_call(name, reason))
        self._refuse(f"function {name}() is not allowed: {why}", fields, offending=name, hint=hint)

    def _refuse_operator(
        self, name: str, reason: RefusalReason, fields: Node, explanation: Explanation | None
    ) -> NoReturn:
        if not explanation:
            self._refuse_use("operator", name, reason, fields)
        message = f"operator {name} is not allowed: {explanation.text}"
        self._refuse(message, fields, offending=name, hint=explanation.hint)

    def _refuse_use(self, what: str, name: str, reason: RefusalReason, fields: Node) -> NoReturn:
        message = f"{what} {name} is not allowed: {TEXT_BY_REASON[reason]}"
        hint = "use a built-in type or function, or OPERATOR(pg_catalog.…) for a built-in operator"
        self._refuse(message, fields, offending=name, hint=hint)

    def _refuse_into(self, into: Node, _: Node) -> NoReturn:
        hint = "write the SELECT without INTO; the rows come back as the result"
        self._refuse("SELECT ... INTO creates a table", into["rel"], offending="INTO", hint=hint)

    def _refuse_locking(self, *_: Any) -> NoReturn:
        raise SqlRejectedError(
            "FOR UPDATE, FOR SHARE and the like lock rows",
            hint="write the SELECT without the locking clause",
            offending="FOR",
            position=locking_clause_offset(self._sql),
        )

    def _refuse_node(self, name: str, fields: Node) -> NoReturn:
        words = describe(name)
        message = (
            f"{words} inside WITH changes data"
            if name in CHANGING_NODES
            else f"{words} is not allowed in a read-only statement"
        )
        self._refuse(message, fields.get("relation", fields), offending=words, hint="write a SELECT instead")

    def _refuse(self, message: str, fields: Node, *, offending: str, hint: str) -> NoReturn:
        location = fields.get("location", -1)
        position = character_offset(self._sql, location) if location >= 0 else None
        raise SqlRejectedError(message, hint=hint, offending=offending, position=position)

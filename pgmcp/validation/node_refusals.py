"""Refuses functions and relations for what they do themselves.

A function is judged by its declaration and the text of its body. A relation is judged by the catalogs and
built-in functions that it uses, and by whether a program produces its rows. `pgmcp.validation.call_graph`
follows the calls of both.
"""

from collections.abc import Callable, Iterable
from typing import Final

from pgmcp.validation.body import BodyText, read_body
from pgmcp.validation.body_statement import written_calls
from pgmcp.validation.catalog_objects import CatalogFunction, CatalogNode, CatalogRelation
from pgmcp.validation.grammar import Node
from pgmcp.validation.name_lookup import Lookup, NameReading
from pgmcp.validation.refusal_reasons import ROW_POLICY, Refusal, RefusalReason
from pgmcp.validation.sample_conditions import NAME_COMPARISONS
from pgmcp.validation.secret_columns import has_secret_column, may_have_secret_column
from pgmcp.validation.secret_relations import secret_relation_refusal
from pgmcp.validation.shipped_lists import builtin, extension_function
from pgmcp.validation.statement_kind import only_reads

_HARMLESS_SETTINGS: Final = frozenset({"search_path", "timezone", "datestyle", "intervalstyle", "work_mem"})
"""Settings that a volatile function may set for its own duration."""

SettingsVerdict = Callable[[str, str, str], bool | None]
"""Returns whether the settings allow (True) or deny (False) a function; None if they do not name it.

The arguments are the function's schema, name and extension.
"""


class NodeRefusals:
    """Judges functions and relations without following their calls.

    Args:
        lookup: looks up functions and operators by name.
        settings_verdict: see `SettingsVerdict`.
        name_reading: how the server reads names beyond ASCII.
    """

    def __init__(self, lookup: Lookup, settings_verdict: SettingsVerdict, name_reading: NameReading) -> None:
        self._lookup = lookup
        self._name_reading = name_reading
        self._settings_verdict = settings_verdict

    def is_allowed_by_settings(self, function: CatalogFunction) -> bool:
        """Return whether the settings allow a function, so that its body is not read."""
        return bool(self._settings_verdict(function.schema, function.name, function.extension))

    def of(self, node: CatalogNode, *, through_relation: bool, trusts_c: bool = False) -> Refusal | None:
        """Return why a node itself is refused; the functions and relations that it uses do not count.

        Behind a view or row policy, a function is not refused for SECURITY DEFINER alone, because it is meant
        to read what its owner may read. Its body is then judged like that of any other function; without a
        body that can be read, it is refused.

        Args:
            node: the function or relation.
            through_relation: whether a view or row policy leads to it.
            trusts_c: whether a function in C that is not VOLATILE is accepted. Only a superuser creates one.
        """
        if isinstance(node, CatalogRelation):
            return self._relation_refusal(node)
        if (verdict := self._settings_verdict(node.schema, node.name, node.extension)) is not None:
            return None if verdict else Refusal(node.display_name, RefusalReason.DENIED)
        is_judged_by_body = through_relation and bool(node.definition)
        reason = _declared_refusal(node)
        if trusts_c and reason is RefusalReason.LANGUAGE and _is_constant_in_c(node):
            return None
        if reason and not (is_judged_by_body and reason is RefusalReason.SECURITY_DEFINER):
            return Refusal(node.display_name, reason)
        if not node.definition:
            return None
        body = read_body(node.definition, node.language)
        if node.volatility != "v":
            return self._body_refusal(body)
        if self._may_change_something(node, body) or self._body_refusal(body):
            return Refusal(node.display_name, RefusalReason.VOLATILE)
        return None

    def _relation_refusal(self, relation: CatalogRelation) -> Refusal | None:
        if relation.unreadable:
            return Refusal(relation.name, relation.unreadable)
        if relation.runs_program:
            return Refusal(relation.name, RefusalReason.FILES)
        if relation.locks_rows:
            return Refusal("FOR UPDATE", RefusalReason.ROW_LOCKS)
        for schema, name in relation.reads:
            if secret_relation_refusal(schema, name) and not has_secret_column(schema, name):
                return Refusal(name, RefusalReason.SECRETS)
        if relation.secrets:
            return Refusal(relation.secrets[0], RefusalReason.SECRETS)
        return self._builtin_refusal(relation.calls)

    def _may_change_something(self, function: CatalogFunction, body: BodyText) -> bool:
        """Return whether a volatile function may do more than read, apart from what its calls do.

        PostgreSQL refuses commands that write in a function that is declared STABLE or IMMUTABLE, but runs
        them in a volatile one. So a volatile function only reads if each of its statements is a query that a
        caller could send, too.
        """
        if body.hides_calls or not _HARMLESS_SETTINGS.issuperset(function.settings):
            return True
        roots = body.statements
        return roots is None or not all(only_reads(root) and self._knows_calls(root) for root in roots)

    def _knows_calls(self, root: Node) -> bool:
        """Return whether PostgreSQL's list or the catalog has each function that a statement calls."""
        return all(
            self._lookup.has_functions(name) or builtin(schema, name) for schema, name in written_calls(root)
        )

    def _body_refusal(self, body: BodyText) -> Refusal | None:
        if body.hides_calls:
            return Refusal("EXECUTE", RefusalReason.SQL_TEXT)
        if misread := self._name_reading.first_misread(body.code_tokens):
            return Refusal(misread.text, RefusalReason.SQL_TEXT)
        for name in body.names:
            if may_have_secret_column(name):
                is_secret = body.may_use_secrets_of(name, trusts_conditions=self._trusts_conditions)
            else:
                is_secret = secret_relation_refusal("", name) is not None
            if is_secret:
                return Refusal(name, RefusalReason.SECRETS)
        calls = body.calls | {("", name) for name in body.fields}
        for root in body.statements or ():
            calls.update(written_calls(root))
        return self._builtin_refusal((schema, name, None) for schema, name in calls)

    @property
    def _trusts_conditions(self) -> bool:
        """Whether only operators of extensions and of PostgreSQL can compare names, with any search path."""
        functions = (each for symbol in NAME_COMPARISONS for each in self._lookup.functions_of_symbol(symbol))
        return all(function.extension for function in functions)

    def _builtin_refusal(self, calls: Iterable[tuple[str, str, int | None]]) -> Refusal | None:
        """Return the refusal of the first built-in function that may not be called."""
        for schema, name, argument_count in calls:
            listed = builtin(schema, name)
            reason = _unless_internal(listed.refusal(argument_count)) if listed else None
            if reason and not self._settings_verdict("pg_catalog", name, ""):
                return Refusal(name, reason)
        return None


def policy_of(node: CatalogNode) -> str:
    """Return a description of a row policy, or of what is evaluated at planning; "" for another node."""
    if isinstance(node, CatalogFunction):
        return ""
    if node.is_planned:
        return f"an index, CHECK, partition key or statistics object of {node.schema}.{node.name}"
    return f'{ROW_POLICY} "{node.policy}" of {node.schema}.{node.name}' if node.policy else ""


def _is_constant_in_c(function: CatalogFunction) -> bool:
    return function.language in ("c", "internal") and function.volatility != "v"


def allowable(node: CatalogNode, refusal: Refusal) -> str:
    """Return the function that the settings can allow to lift the refusal of a node; "" if there is none."""
    if refusal.reason is RefusalReason.DENIED:
        return ""
    if isinstance(node, CatalogFunction):
        return node.display_name
    return refusal.cause if builtin("", refusal.cause) else ""


def _declared_refusal(function: CatalogFunction) -> RefusalReason | None:
    listed = extension_function(function.name, function.extension) if function.extension else None
    reason = listed.refusal_by_types(function.argument_types) if listed else function.refusal()
    return _unless_internal(reason)


def _unless_internal(reason: RefusalReason | None) -> RefusalReason | None:
    """Return the reason, but accept internal functions: operators, casts and aggregates call them."""
    return None if reason is RefusalReason.INTERNAL else reason

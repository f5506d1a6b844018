"""Finds the queries whose rows the `record` variables of a body in PL/pgSQL hold."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from pgmcp.validation.grammar import Node
from pgmcp.validation.lexer import TokenKind
from pgmcp.validation.plpgsql_text import PlpgsqlText

_Variables = Mapping[str, Sequence[Node | None]]


class RecordSources:
    """Collects the queries whose rows `record` variables hold, and the places that name these variables.

    An expression cannot assign to a variable. So a variable has no other source if its name occurs only in
    expressions, declarations, and the targets that are collected here.
    """

    def __init__(self) -> None:
        self.places: set[int] = set()
        self._queries: defaultdict[str, list[Node | None]] = defaultdict(list)
        self._declared: defaultdict[str, int] = defaultdict(int)
        self._cursors: dict[str, Node | None] = {}

    def declare(self, name: str, place: int) -> None:
        """Note the declaration of a `record` variable without an initial value."""
        self._declared[name] += 1
        self.places.add(place)

    def declare_cursor(self, name: str, place: int, query: Node | None) -> None:
        """Note the query of a cursor."""
        self._cursors[name] = query if name not in self._cursors else None
        self.places.add(place)

    def add(self, name: str, place: int, query: Node | None) -> None:
        """Note that a variable gets rows of a query; None for a query that is not known."""
        self._queries[name].append(query)
        self.places.add(place)

    def add_cursor(self, name: str, place: int, cursor: str, cursor_place: int) -> None:
        """Note that a variable gets rows of a cursor."""
        self.add(name, place, {"cursor": cursor})
        self.places.add(cursor_place)

    def of_records(self, body: PlpgsqlText, variables: _Variables) -> dict[str, list[Node]]:
        """Return the queries of each record that has no other sources.

        Args:
            body: the body, read to its end.
            variables: the types of all variables that it declares, by name.
        """
        other = self._names_elsewhere(body)
        found: dict[str, list[Node]] = {}
        for name, sources in self._queries.items():
            queries = [self._query_of(each, variables, other) for each in sources]
            known = [each for each in queries if each is not None]
            is_record = len(variables[name]) == self._declared[name]
            if is_record and name not in other and len(known) == len(queries):
                found[name] = known
        return found

    def _query_of(self, source: Node | None, variables: _Variables, other: set[str]) -> Node | None:
        if source is None or "cursor" not in source:
            return source
        cursor = source["cursor"]
        is_sure = cursor not in other and len(variables.get(cursor, ())) == 1
        return self._cursors.get(cursor) if is_sure else None

    def _names_elsewhere(self, body: PlpgsqlText) -> set[str]:
        """Return the names in the body outside of expressions and of the places that were noted."""
        found: set[str] = set()
        for token in body.tokens:
            if token.start in self.places or any(a <= token.start < b for a, b in body.parsed):
                continue
            if token.kind is TokenKind.WORD:
                found.add(token.text.lower())
            elif token.kind is TokenKind.QUOTED_NAME:
                is_plain = token.text.startswith('"')
                found |= {token.text[1:-1].replace('""', '"')} if is_plain else set(self._queries)
        return found

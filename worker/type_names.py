"""Finds the names of types by OID. Those of PostgreSQL's common types are known; others are queried once."""

from collections.abc import Callable, Sequence

import psycopg
from psycopg import pq

from worker.text_encoding import TextEncoding

Ask = Callable[[bytes, list[bytes], list[int]], pq.abc.PGresult]
"""Runs one of pgmcp's own statements; the arguments are the SQL, the parameters and their type OIDs."""

Columns = Sequence[tuple[str, int]]
"""A name and a type OID per column."""

# format_type() adds the schema to a type outside pg_catalog, because pgmcp's statements have only pg_catalog
# in their search path. The schema is removed if the caller's search path finds the type without it.
_ASK_SQL = b"""
SELECT t.oid,
       pg_catalog.substr(
           pg_catalog.format_type(t.oid, NULL),
           CASE WHEN t.typnamespace <> '11' AND t.typnamespace = (
               SELECT n.oid
               FROM pg_catalog.json_array_elements_text(pg_catalog.json_in(pg_catalog.textout(
                   pg_catalog.current_setting('pgmcp.schemas')))) WITH ORDINALITY AS path (name, place)
               JOIN pg_catalog.pg_namespace AS n ON n.nspname = path.name
               JOIN pg_catalog.pg_type AS x ON x.typnamespace = n.oid AND x.typname = t.typname
               ORDER BY path.place LIMIT 1::pg_catalog.int8)
               AND NOT EXISTS (
                   SELECT FROM pg_catalog.pg_type AS x
                   WHERE x.typnamespace = '11' AND x.typname = t.typname)
           THEN pg_catalog.length(pg_catalog.quote_ident(s.nspname::pg_catalog.text)) + 2 ELSE 1 END)
FROM pg_catalog.unnest($1) AS wanted (oid)
JOIN pg_catalog.pg_type AS t ON t.oid = wanted.oid
JOIN pg_catalog.pg_namespace AS s ON s.oid = t.typnamespace
"""
_OID_ARRAY_OID = 1028

_UNKNOWN = "unknown"


def _built_in() -> dict[int, str]:
    names: dict[int, str] = {}
    for info in psycopg.adapters.types:
        names[info.oid] = info.regtype
        if info.array_oid:
            names[info.array_oid] = f"{info.regtype}[]"
    return names


class TypeNames:
    """Caches the names of types, as `format_type` writes them."""

    def __init__(self) -> None:
        self._name_by_oid = _built_in()

    def named(self, columns: Columns) -> list[tuple[str, str]] | None:
        """Return the columns with the names of their types; None if a name is not known yet."""
        try:
            return [(name, self._name_by_oid[oid]) for name, oid in columns]
        except KeyError:
            return None

    def look_up(self, ask: Ask, columns: Columns, encoding: TextEncoding) -> list[tuple[str, str]]:
        """Return the columns with the names of their types; query the server for names that are not cached.

        A type that the server does not name is "unknown".

        Args:
            encoding: that of the connection.

        Raises:
            FailedError: raised by `ask`, because the connection broke.
        """
        unseen = sorted({oid for _, oid in columns if oid not in self._name_by_oid})
        if unseen:
            self._ask(ask, unseen, encoding)
        return [(name, self._name_by_oid.get(oid, _UNKNOWN)) for name, oid in columns]

    def _ask(self, ask: Ask, oids: list[int], encoding: TextEncoding) -> None:
        array = "{" + ",".join(str(oid) for oid in oids) + "}"
        result = ask(_ASK_SQL, [array.encode()], [_OID_ARRAY_OID])
        for row in range(result.ntuples):
            oid, name = (result.get_value(row, column) or b"" for column in (0, 1))
            self._name_by_oid[int(oid)] = encoding.decode(name)

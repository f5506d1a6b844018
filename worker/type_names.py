"""Names of types by OID: PostgreSQL's own are known in advance, the others are asked for once."""

import psycopg
from psycopg import pq

_ASK_SQL = b"""
SELECT t.oid, pg_catalog.format_type(t.oid, NULL)
FROM pg_catalog.unnest($1::oid[]) AS wanted(oid) JOIN pg_catalog.pg_type AS t USING (oid)
"""

_UNKNOWN = "unknown"


def _built_in() -> dict[int, str]:
    names: dict[int, str] = {}
    for info in psycopg.adapters.types:
        names[info.oid] = info.regtype
        if info.array_oid:
            names[info.array_oid] = f"{info.regtype}[]"
    return names


class TypeNames:
    """Remembers the names of types, as `format_type` writes them."""

    def __init__(self) -> None:
        self._name_by_oid = _built_in()

    def look_up(self, pgconn: pq.abc.PGconn, oids: list[int]) -> list[str]:
        """Return a name per OID; asks the idle connection for those not seen before."""
        unseen = sorted({oid for oid in oids if oid not in self._name_by_oid})
        if unseen:
            self._ask(pgconn, unseen)
        return [self._name_by_oid.get(oid, _UNKNOWN) for oid in oids]

    def _ask(self, pgconn: pq.abc.PGconn, oids: list[int]) -> None:
        array = "{" + ",".join(str(oid) for oid in oids) + "}"
        result = pgconn.exec_params(_ASK_SQL, [array.encode()])
        for row in range(result.ntuples):
            oid, name = (result.get_value(row, column) or b"" for column in (0, 1))
            self._name_by_oid[int(oid)] = name.decode("utf8", "replace")

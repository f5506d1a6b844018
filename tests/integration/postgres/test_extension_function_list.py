"""The list of extension functions, compared with the extensions of the server."""

from collections.abc import Iterator
from importlib.resources import files

import psycopg
import pytest
from psycopg import sql

from pgmcp.validation.grammar import parse_body
from pgmcp.validation.shipped_lists import extension_function

_ROWS = [
    line.split("\t")
    for line in files("pgmcp.validation")
    .joinpath("extension_functions.tsv")
    .read_text("utf-8")
    .splitlines()[2:]
]
# Volatile functions that are allowed. Their results differ between calls, because they read pages, shared
# memory, keys or facts of the connection, or draw random numbers. Functions of these extensions that change
# something, such as pg_buffercache_evict, are refused.
_VOLATILE_READS = {
    "dblink": {"dblink_get_connections", "dblink_get_pkey", "dblink_current_query"}
    | {"dblink_build_sql_delete"},
    "pg_buffercache": {"pg_buffercache_pages", "pg_buffercache_summary", "pg_buffercache_usage_counts"}
    | {"pg_buffercache_numa_pages"},
    "pg_freespacemap": {"pg_freespace"},
    "pg_stat_statements": {"pg_stat_statements", "pg_stat_statements_info"},
    "pg_visibility": {"pg_visibility", "pg_visibility_map", "pg_visibility_map_summary"},
    "pgstattuple": {"pg_relpages", "pgstatginindex", "pgstathashindex", "pgstatindex", "pgstattuple"}
    | {"pgstattuple_approx"},
    "postgres_fdw": {"postgres_fdw_get_connections"},
    "tablefunc": {"normal_rand"},
    "old_snapshot": {"pg_old_snapshot_time_mapping"},
    "pgcrypto": {
        "gen_salt",
        "gen_random_bytes",
        "gen_random_uuid",
        "pgp_sym_encrypt",
        "pgp_sym_encrypt_bytea",
    }
    | {"pgp_pub_encrypt", "pgp_pub_encrypt_bytea"},
    "sslinfo": {"ssl_client_serial", "ssl_is_used", "ssl_version", "ssl_cipher", "ssl_client_cert_present"}
    | {"ssl_client_dn_field", "ssl_issuer_field", "ssl_client_dn", "ssl_issuer_dn", "ssl_extension_info"},
    "uuid-ossp": {"uuid_generate_v1", "uuid_generate_v1mc", "uuid_generate_v4"},
}
_TYPES = """
select t.typname from pg_depend d
join pg_extension e on e.oid = d.refobjid and d.refclassid = 'pg_extension'::regclass and d.deptype = 'e'
join pg_type t on t.oid = d.objid and d.classid = 'pg_type'::regclass
where e.extname = %s
"""
_FUNCTIONS = """
select p.proname, p.pronargs, p.provolatile::text, p.prosecdef, l.lanname, p.prosrc
from pg_depend d
join pg_extension e on e.oid = d.refobjid and d.refclassid = 'pg_extension'::regclass and d.deptype = 'e'
join pg_proc p on p.oid = d.objid and d.classid = 'pg_proc'::regclass
join pg_language l on l.oid = p.prolang
where e.extname = %s and p.prokind <> 'p'
"""


@pytest.fixture(scope="module")
def admin(module_database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(module_database) as connection:
        yield connection


@pytest.mark.parametrize("extension", sorted({row[0] for row in _ROWS}))
def test_the_shipped_list_of_an_extension_matches_the_server(
    admin: psycopg.Connection, extension: str
) -> None:
    with admin.transaction(force_rollback=True):
        is_there = admin.execute("select from pg_available_extensions where name = %s", [extension])
        if is_there.fetchone() is None:
            pytest.skip(f"the server has no extension {extension}")
        create = sql.SQL("create extension if not exists {} cascade").format(sql.Identifier(extension))
        admin.execute(create)
        functions = admin.execute(_FUNCTIONS, [extension]).fetchall()
        types = admin.execute(_TYPES, [extension]).fetchall()

    major = admin.info.server_version // 10_000
    let_through = [row for row in functions if _is_let_through(extension, row)]
    assert set(_listed_names(extension, major)) <= {row[0] for row in [*functions, *types]}
    assert [row for row in let_through if not _is_a_read(extension, row)] == []


def _listed_names(extension: str, major: int) -> Iterator[str]:
    """Yield the functions of the list for a major version, and its types that are called like functions."""
    for owner, name, _, majors in _ROWS:
        first, _, last = majors.partition("-")
        if owner == extension and first.isdigit() and int(first) <= major <= int(last or first):
            yield name


def _is_let_through(extension: str, row: tuple[str, int, str, bool, str, str]) -> bool:
    listed = extension_function(row[0], extension)
    return listed is not None and listed.refusal(row[1]) is None


def _is_a_read(extension: str, row: tuple[str, int, str, bool, str, str]) -> bool:
    """Return whether a function is declared to change nothing and, if it is in SQL, its body only reads."""
    name, _, volatility, is_security_definer, language, source = row
    says_so = volatility != "v" or name in _VOLATILE_READS.get(extension, ())
    if not says_so or is_security_definer or language not in ("c", "internal", "sql"):
        return False
    roots = parse_body(source) if language == "sql" and source else []
    return roots is not None and all("targetList" in root or "larg" in root for root in roots)

"""A cluster to attack: a small shop, traps of every kind, secrets, and roles from superuser to reader."""

import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from pgmcp.cli.setup_sql import setup_script
from pgmcp.demo.postgres import EmbeddedPostgres

_DATA = Path(__file__).parents[1] / "tests" / "data"
_DATABASE, _HONEST_DATABASE = "shop", "honest"
_PASSWORD = "a password"
_EXTENSIONS = (
    "vector", "pg_trgm", "fuzzystrmatch", "unaccent", "hstore", "ltree", "cube", "earthdistance", "intarray",
    "citext", "seg", "isn", "tablefunc", "intagg", "pgstattuple", "tsm_system_rows", "tsm_system_time",
    "pg_freespacemap", "pg_buffercache", "pg_visibility", "dblink", "postgres_fdw", "file_fdw",
    "pg_prewarm", "pageinspect", "amcheck", "pgrowlocks", "pg_walinspect", "pg_surgery", "lo",
)  # fmt: skip

SERVER_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "wal_level": "logical",
    "max_prepared_transactions": "10",
    "timezone": "UTC",
}
"""Settings that make the cluster fast, keep it from changing by itself, and let more attacks succeed."""

FILE_SECRET = "secret-in-a-server-file"
MAPPING_SECRET = "secret-of-a-user-mapping"
SUBSCRIPTION_SECRET = "secret-of-a-subscription"
LARGE_OBJECT_SECRET = "large-object-secret"
_SYSTEM_FILE_SECRET = "root:x:0:0"
"""A text in /etc/passwd on most systems; many attacks read this file."""

_ROWS = """
insert into categories (id, parent_id, name) values (1, null, 'Electronics'), (7, 1, 'Cameras');
insert into products select n, 7, 'CAM-' || n, 'Camera ' || n, n, n, false, now()
    from generate_series(1, 9) n;
insert into customers select n, 'Customer ' || n, n || '@example.org', 'Berlin', 'Germany', now(), now(), true
    from generate_series(1, 9) n;
insert into orders select n, n, 'paid', now() from generate_series(1, 9) n;
insert into order_items select n, 1, n, 1, 5 from generate_series(1, 9) n;
insert into payments select n, n, 'card', 5, now() from generate_series(1, 9) n;
create schema ext;
"""

_ROLES = """
create role careless login createdb createrole password 'a password';
grant pg_signal_backend, pg_monitor, pg_checkpoint, pg_read_all_data, pg_write_all_data to careless;
create role secret_holder login password 'never shown';
create user mapping for careless server loopback
    options (user 'careless', password 'secret-of-a-user-mapping');
create subscription quiet connection 'host=127.0.0.1 password=secret-of-a-subscription' publication p
    with (connect = false, enabled = false, slot_name = none);
grant usage, create on schema public, trap to careless;
grant usage on schema trap to public;
grant select on all tables in schema trap to public;
grant usage on all sequences in schema trap, public to careless;
"""


@dataclass(frozen=True)
class Target:
    """The databases and roles of the cluster.

    Attributes:
        admin_url: the superuser's URL of the database with the traps.
        honest_url: the superuser's URL of another database, with the same tables and no traps.
        url_by_role: "superuser"; "careless", who owns the tables and may create objects; "reader", made by
            setup-sql.
        outside: a folder that the server may write to, outside its data directory. It replaces /tmp in
            attacks.
        secrets: texts that no reply may contain.
    """

    cluster: EmbeddedPostgres
    admin_url: str
    honest_url: str
    url_by_role: dict[str, str]
    outside: Path
    secrets: tuple[str, ...]

    def adapt(self, statement: str) -> str:
        """Return the attack on this target: with `outside` for /tmp, and 127.0.0.1 for its host."""
        return statement.replace("/tmp/", f"{self.outside}/").replace("evil.example", "127.0.0.1")  # noqa: S108


def build_target(cluster: EmbeddedPostgres) -> Target:
    """Fill an empty cluster, and return its description."""
    outside = cluster.data_dir.parent / "outside"
    outside.mkdir()
    outside.chmod(0o777)
    _make_shop(cluster)
    admin_url = cluster.url(_DATABASE)
    (cluster.data_dir / "secret.txt").write_text(FILE_SECRET)
    (cluster.data_dir / "secret.txt").chmod(0o644)
    with psycopg.connect(admin_url, autocommit=True) as connection:
        _set_traps(connection)
        conninfo = cluster.url(_DATABASE, user="careless", password=_PASSWORD)
        connection.execute("insert into trap.loopback values (%s)", [conninfo])
        script = setup_script(
            "reader", _DATABASE, ["public"], connections=10, statement_timeout_s=60, revokes=True
        )
        connection.execute(script.encode())
        connection.execute("alter role reader password 'a password'")
        connection.execute("vacuum (freeze, analyze)")
        passwords = connection.execute("select rolpassword from pg_authid where rolpassword is not null")
        hashes = [row[0] for row in passwords]
    roles = {role: make_conninfo(admin_url, user=role, password=_PASSWORD) for role in ("careless", "reader")}
    secrets = (
        FILE_SECRET,
        MAPPING_SECRET,
        SUBSCRIPTION_SECRET,
        LARGE_OBJECT_SECRET,
        _SYSTEM_FILE_SECRET,
        *hashes,
    )
    honest_url = cluster.url(_HONEST_DATABASE)
    return Target(cluster, admin_url, honest_url, {"superuser": admin_url, **roles}, outside, secrets)


def _make_shop(cluster: EmbeddedPostgres) -> None:
    """Create the tables and extensions in two databases."""
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(_HONEST_DATABASE)))
    with psycopg.connect(cluster.url(_HONEST_DATABASE), autocommit=True) as shop:
        script = resources.files("pgmcp.demo").joinpath("shop.sql").read_text("utf-8")
        tables = re.split(r"^-- step: .*$", script, flags=re.MULTILINE)[1]
        shop.execute(tables.encode())
        shop.execute(_ROWS.encode())
        for extension in _EXTENSIONS:
            shop.execute(sql.SQL("create extension {}").format(sql.Identifier(extension)))
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        names = [sql.Identifier(name) for name in (_DATABASE, _HONEST_DATABASE)]
        connection.execute(sql.SQL("create database {} template {}").format(*names))


def _set_traps(connection: psycopg.Connection) -> None:
    connection.execute((_DATA / "traps" / "objects.sql").read_bytes())
    connection.execute(_ROLES.encode())
    owned = connection.execute(
        "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'S')"
    )
    for (table,) in owned.fetchall():
        connection.execute(sql.SQL("alter table {} owner to careless").format(sql.Identifier(table)))

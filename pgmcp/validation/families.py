"""Why a function is refused: the families of effects, and what to write instead."""

from enum import StrEnum


class RefusalFamily(StrEnum):
    """What a refused function does; the data files name these."""

    SLEEP = "sleep"
    FILES = "files"
    LARGE_OBJECTS = "large_objects"
    SQL_TEXT = "sql_text"
    NETWORK = "network"
    SECRETS = "secrets"
    LOCKS = "locks"
    SEQUENCES = "sequences"
    NOTIFICATIONS = "notifications"
    SETTINGS = "settings"
    OTHER_SESSIONS = "other_sessions"
    TRANSACTION_ID = "transaction_id"
    WAL = "wal"
    REPLICATION = "replication"
    STATISTICS = "statistics"
    STORAGE = "storage"
    PAGES = "pages"
    INTERNAL = "internal"
    VOLATILE = "volatile"
    SECURITY_DEFINER = "security_definer"
    LANGUAGE = "language"
    DENIED = "denied"
    UNKNOWN = "unknown"
    SHADOWED = "shadowed"
    UNREADABLE_FUNCTION = "unreadable_function"
    UNREADABLE_BODY = "unreadable_body"
    UNREADABLE_POLICY = "unreadable_policy"
    UNREADABLE_VIEW = "unreadable_view"
    UNREADABLE_FOREIGN_TABLE = "unreadable_foreign_table"


UNREADABLE = frozenset(family for family in RefusalFamily if family.startswith("unreadable"))
"""Families of what a role may not read in the catalog."""

ALLOW_HINT = "an operator who trusts it can name it in PG_MCP_SERVER_ALLOWED_FUNCTIONS"

_CATALOGS_OF_FUNCTIONS = "pg_catalog.pg_proc, pg_catalog.pg_language, pg_catalog.pg_aggregate"

REASON_BY_FAMILY: dict[RefusalFamily, str] = {
    RefusalFamily.SLEEP: "it only waits",
    RefusalFamily.FILES: "it reaches files of the database server",
    RefusalFamily.LARGE_OBJECTS: "it reads or writes large objects",
    RefusalFamily.SQL_TEXT: "it runs SQL text or reads tables that this check cannot see",
    RefusalFamily.NETWORK: "it reaches other servers",
    RefusalFamily.SECRETS: "it shows passwords or connection strings of the server",
    RefusalFamily.LOCKS: "it takes or frees advisory locks",
    RefusalFamily.SEQUENCES: "it uses up or depends on a session's sequence values",
    RefusalFamily.NOTIFICATIONS: "it talks to other sessions through notifications",
    RefusalFamily.SETTINGS: "it changes settings of the session or the server",
    RefusalFamily.OTHER_SESSIONS: "it acts on other sessions",
    RefusalFamily.TRANSACTION_ID: "it takes a transaction id or exports a snapshot",
    RefusalFamily.WAL: "it acts on the write-ahead log, backups or recovery",
    RefusalFamily.REPLICATION: "it acts on replication slots or origins",
    RefusalFamily.STATISTICS: "it changes the server's statistics",
    RefusalFamily.STORAGE: "it changes how data is stored or cached",
    RefusalFamily.PAGES: "it reads raw pages or locks of a table, past the rights on its rows",
    RefusalFamily.INTERNAL: "it is internal to the server and not meant for queries",
    RefusalFamily.VOLATILE: "it is volatile, so calling it may change something",
    RefusalFamily.SECURITY_DEFINER: "it runs with the rights of its owner (SECURITY DEFINER)",
    RefusalFamily.LANGUAGE: "it is written in a language that can reach past the transaction",
    RefusalFamily.DENIED: "the operator of this server denies it",
    RefusalFamily.UNKNOWN: "it is not on the list of what is known to only read",
    RefusalFamily.SHADOWED: "the database has a function of its own by this name that may change something",
    RefusalFamily.UNREADABLE_FUNCTION: (
        "the role of this connection may not read pg_proc, so what the function does is not known"
    ),
    RefusalFamily.UNREADABLE_BODY: (
        "the role of this connection may not execute pg_get_functiondef, so what the function does is not "
        "known"
    ),
    RefusalFamily.UNREADABLE_POLICY: (
        "row-level security holds, and the role of this connection may not read pg_policy, so what its "
        "policies call is not known"
    ),
    RefusalFamily.UNREADABLE_VIEW: (
        "the role of this connection may not read pg_rewrite, so what the view calls is not known"
    ),
    RefusalFamily.UNREADABLE_FOREIGN_TABLE: (
        "the role of this connection may not read pg_foreign_table or pg_inherits, so it is not known "
        "whether a program gives its rows"
    ),
}

HINT_BY_FAMILY: dict[RefusalFamily, str] = {
    RefusalFamily.SLEEP: "leave it out; the rows are the same without waiting",
    RefusalFamily.FILES: "query tables and views instead; server files are out of reach on purpose",
    RefusalFamily.LARGE_OBJECTS: "query columns of ordinary tables instead",
    RefusalFamily.SQL_TEXT: "write the inner query as part of this statement instead, as a subquery or WITH",
    RefusalFamily.NETWORK: "query a database configured for this server by its name instead",
    RefusalFamily.SECRETS: "pg_stat_replication and pg_stat_subscription show replication without them",
    RefusalFamily.LOCKS: "leave it out; a read needs no lock of its own",
    RefusalFamily.SEQUENCES: "pg_sequences shows where each sequence stands",
    RefusalFamily.NOTIFICATIONS: "leave it out",
    RefusalFamily.SETTINGS: "leave it out; current_setting() and SHOW read settings",
    RefusalFamily.OTHER_SESSIONS: "pg_stat_activity shows other sessions without touching them",
    RefusalFamily.TRANSACTION_ID: "pg_current_snapshot() and pg_current_xact_id_if_assigned() only read",
    RefusalFamily.WAL: "pg_current_wal_lsn() and pg_stat_wal only read",
    RefusalFamily.REPLICATION: "pg_replication_slots and pg_stat_replication only read",
    RefusalFamily.STATISTICS: "the pg_stat_* views only read",
    RefusalFamily.STORAGE: "leave it out",
    RefusalFamily.PAGES: "query the table itself instead",
    RefusalFamily.INTERNAL: "use the SQL operator, cast or function it stands behind",
    RefusalFamily.VOLATILE: ALLOW_HINT,
    RefusalFamily.SECURITY_DEFINER: ALLOW_HINT,
    RefusalFamily.LANGUAGE: ALLOW_HINT,
    RefusalFamily.DENIED: "write the query without it",
    RefusalFamily.UNKNOWN: f"check its name, or use a built-in function; {ALLOW_HINT}",
    RefusalFamily.SHADOWED: "write pg_catalog. before the name to call the built-in one",
    RefusalFamily.UNREADABLE_FUNCTION: (
        f"an administrator runs GRANT SELECT ON {_CATALOGS_OF_FUNCTIONS} TO this role; {ALLOW_HINT}"
    ),
    RefusalFamily.UNREADABLE_BODY: (
        "an administrator runs GRANT EXECUTE ON FUNCTION pg_catalog.pg_get_functiondef(oid) TO this role; "
        f"{ALLOW_HINT}"
    ),
    RefusalFamily.UNREADABLE_POLICY: (
        "an administrator runs GRANT SELECT ON pg_catalog.pg_policy TO this role"
    ),
    RefusalFamily.UNREADABLE_VIEW: (
        "an administrator runs GRANT SELECT ON pg_catalog.pg_rewrite TO this role"
    ),
    RefusalFamily.UNREADABLE_FOREIGN_TABLE: (
        "an administrator runs GRANT SELECT ON pg_catalog.pg_foreign_table, pg_catalog.pg_inherits "
        "TO this role"
    ),
}

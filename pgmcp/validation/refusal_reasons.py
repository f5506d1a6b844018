"""Names the reasons for which functions and relations are refused, and what to write instead."""

from enum import StrEnum
from typing import Final, NamedTuple

from pgmcp.validation.other_dialects import hint_for_function


class RefusalReason(StrEnum):
    """What a refused function does, or why it is refused although that is not known.

    `builtin_functions.tsv` and `extension_functions.tsv` contain these values.
    """

    SLEEP = "sleep"
    FILES = "files"
    LARGE_OBJECTS = "large_objects"
    SQL_TEXT = "sql_text"
    NETWORK = "network"
    SECRETS = "secrets"
    LOCKS = "locks"
    ROW_LOCKS = "row_locks"
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
    CALLER = "caller"
    LANGUAGE = "language"
    DENIED = "denied"
    UNKNOWN = "unknown"
    ABSENT = "absent"
    SHADOWED = "shadowed"
    UNREADABLE_FUNCTION = "unreadable_function"
    UNREADABLE_BODY = "unreadable_body"
    UNREADABLE_POLICY = "unreadable_policy"
    UNREADABLE_VIEW = "unreadable_view"
    UNREADABLE_FOREIGN_TABLE = "unreadable_foreign_table"
    UNREADABLE_EXPRESSION = "unreadable_expression"


UNREADABLE = frozenset(reason for reason in RefusalReason if reason.startswith("unreadable"))
"""Reasons that are about parts of the catalog that the role may not read."""

_REASONS_OF_CATALOG = UNREADABLE | {
    RefusalReason.ABSENT,
    RefusalReason.CALLER,
    RefusalReason.DENIED,
    RefusalReason.LANGUAGE,
    RefusalReason.SECURITY_DEFINER,
    RefusalReason.SHADOWED,
    RefusalReason.UNKNOWN,
    RefusalReason.VOLATILE,
}
"""Reasons that the shipped list of PostgreSQL's own functions does not give."""

ALLOW_HINT = "an operator who trusts it can add it to PG_MCP_SERVER_ALLOWED_FUNCTIONS"

_DECLARE_STABLE = "if {function} only reads, its owner can declare that with ALTER FUNCTION … STABLE"

_CATALOGS_OF_FUNCTIONS = "pg_catalog.pg_proc, pg_catalog.pg_language, pg_catalog.pg_aggregate"

TEXT_BY_REASON: dict[RefusalReason, str] = {
    RefusalReason.SLEEP: "it only waits",
    RefusalReason.FILES: "it reaches files of the database server",
    RefusalReason.LARGE_OBJECTS: "it reads or writes large objects",
    RefusalReason.SQL_TEXT: "it runs SQL text or reads tables that pgmcp cannot check",
    RefusalReason.NETWORK: "it reaches other servers or uses connections to them",
    RefusalReason.SECRETS: "it shows passwords or connection strings of the server",
    RefusalReason.LOCKS: "it acquires or releases advisory locks",
    RefusalReason.ROW_LOCKS: "it locks the rows that it reads (FOR UPDATE, FOR SHARE and the like)",
    RefusalReason.SEQUENCES: "it takes values from a sequence, or depends on those that its session took",
    RefusalReason.NOTIFICATIONS: "it talks to other sessions through notifications",
    RefusalReason.SETTINGS: "it changes settings or the state of the session or the server",
    RefusalReason.OTHER_SESSIONS: "it acts on other sessions or tests whether they wait",
    RefusalReason.TRANSACTION_ID: "it assigns a transaction id or exports a snapshot",
    RefusalReason.WAL: "it acts on the write-ahead log, backups or recovery, or reads raw log records",
    RefusalReason.REPLICATION: "it acts on replication slots or origins",
    RefusalReason.STATISTICS: "it changes the server's statistics",
    RefusalReason.STORAGE: "it changes how data is stored or cached, or creates objects",
    RefusalReason.PAGES: "it reads raw pages or locks of a table, regardless of the privileges on its rows",
    RefusalReason.INTERNAL: "it is internal to the server and not meant for queries",
    RefusalReason.VOLATILE: "it is volatile, so calling it may change something",
    RefusalReason.SECURITY_DEFINER: "it runs with the privileges of its owner (SECURITY DEFINER)",
    RefusalReason.CALLER: "its SET clause changes the caller's role or claims",
    RefusalReason.LANGUAGE: "it is written in a language that can act outside the transaction",
    RefusalReason.DENIED: "the operator of this server denies it",
    RefusalReason.UNKNOWN: "it is not on the list of functions that are known to only read",
    RefusalReason.ABSENT: "the database had no function of this name there when its catalog was last read",
    RefusalReason.SHADOWED: "the database has its own function of this name, which may change something",
    RefusalReason.UNREADABLE_FUNCTION: (
        "the role of this connection may not read pg_proc, so what the function does is not known"
    ),
    RefusalReason.UNREADABLE_BODY: (
        "the role of this connection may not execute pg_get_functiondef, so what the function does is not "
        "known"
    ),
    RefusalReason.UNREADABLE_POLICY: (
        "row-level security applies, and the role of this connection may not read pg_policy, so what its "
        "policies call is not known"
    ),
    RefusalReason.UNREADABLE_VIEW: (
        "the role of this connection may not read pg_rewrite, so what the view calls is not known"
    ),
    RefusalReason.UNREADABLE_FOREIGN_TABLE: (
        "the role of this connection may not read pg_foreign_table or pg_inherits, so it is not known "
        "whether a program produces its rows"
    ),
    RefusalReason.UNREADABLE_EXPRESSION: (
        "the role of this connection may not read pg_index, pg_statistic_ext, pg_partitioned_table or "
        "pg_inherits, so it is not known which functions of the database PostgreSQL calls to plan a read"
    ),
}

HINT_BY_REASON: dict[RefusalReason, str] = {
    RefusalReason.SLEEP: "leave it out; the rows are the same without waiting",
    RefusalReason.FILES: "query tables and views instead; pgmcp does not allow access to server files",
    RefusalReason.LARGE_OBJECTS: "query columns of ordinary tables instead",
    RefusalReason.SQL_TEXT: "write the inner query as part of this statement instead, as a subquery or WITH",
    RefusalReason.NETWORK: "query a database configured for this server by its name instead",
    RefusalReason.SECRETS: (
        "pg_roles shows roles without passwords; pg_stat_replication and pg_stat_subscription show "
        "replication without connection strings"
    ),
    RefusalReason.LOCKS: "leave it out; a read needs no lock of its own",
    RefusalReason.ROW_LOCKS: "query the tables behind it instead",
    RefusalReason.SEQUENCES: "pg_sequences shows the last value of each sequence",
    RefusalReason.NOTIFICATIONS: "leave it out",
    RefusalReason.SETTINGS: "leave it out; current_setting() and SHOW read settings",
    RefusalReason.OTHER_SESSIONS: "pg_stat_activity shows other sessions without touching them",
    RefusalReason.TRANSACTION_ID: "pg_current_snapshot() and pg_current_xact_id_if_assigned() only read",
    RefusalReason.WAL: "pg_current_wal_lsn() and pg_stat_wal only read",
    RefusalReason.REPLICATION: "pg_replication_slots and pg_stat_replication only read",
    RefusalReason.STATISTICS: "the pg_stat_* views only read",
    RefusalReason.STORAGE: "leave it out",
    RefusalReason.PAGES: "query the table itself instead",
    RefusalReason.INTERNAL: "use the SQL operator, cast or function that calls it",
    RefusalReason.VOLATILE: f"{_DECLARE_STABLE.format(function='it')}; {ALLOW_HINT}",
    RefusalReason.SECURITY_DEFINER: ALLOW_HINT,
    RefusalReason.CALLER: ALLOW_HINT,
    RefusalReason.LANGUAGE: ALLOW_HINT,
    RefusalReason.DENIED: "write the query without it",
    RefusalReason.UNKNOWN: f"check its name, or use a built-in function; {ALLOW_HINT}",
    RefusalReason.ABSENT: (
        "check its name and schema; if its extension was created just now, refresh_schema reads the catalog "
        "again"
    ),
    RefusalReason.SHADOWED: "write pg_catalog. before the name to call the built-in one",
    RefusalReason.UNREADABLE_FUNCTION: (
        f"an administrator runs GRANT SELECT ON {_CATALOGS_OF_FUNCTIONS} TO this role; {ALLOW_HINT}"
    ),
    RefusalReason.UNREADABLE_BODY: (
        "an administrator runs GRANT EXECUTE ON FUNCTION pg_catalog.pg_get_functiondef(oid) TO this role; "
        f"{ALLOW_HINT}"
    ),
    RefusalReason.UNREADABLE_POLICY: (
        "an administrator runs GRANT SELECT ON pg_catalog.pg_policy TO this role"
    ),
    RefusalReason.UNREADABLE_VIEW: (
        "an administrator runs GRANT SELECT ON pg_catalog.pg_rewrite TO this role"
    ),
    RefusalReason.UNREADABLE_FOREIGN_TABLE: (
        "an administrator runs GRANT SELECT ON pg_catalog.pg_foreign_table, pg_catalog.pg_inherits "
        "TO this role"
    ),
    RefusalReason.UNREADABLE_EXPRESSION: (
        "an administrator runs GRANT SELECT ON pg_catalog.pg_index, pg_catalog.pg_statistic_ext, "
        "pg_catalog.pg_partitioned_table, pg_catalog.pg_inherits TO this role"
    ),
}


_PIVOT_HINT = (
    "pivot with an aggregate for each column instead: sum(x) FILTER (WHERE kind = 'a') AS a; or give it the "
    "query as one plain string"
)
_XML_HINT = "write the query itself: select xmlagg(xmlelement(name row, xmlforest(a, b))) from t"
_QUERY_TO_XML_HINT = f"give it the query as one plain string, or {_XML_HINT}"
_HINT_BY_NAME = {
    "array_in": "write CAST('{1,2}' AS int[])",
    "currval": "max(id) of the table is the last number that was stored",
    "cursor_to_xml": _XML_HINT,
    "lastval": "max(id) of the table is the last number that was stored",
    "nextval": "row_number() OVER (ORDER BY a) numbers rows; pg_sequences shows the last values of sequences",
    "pg_stat_get_wal_receiver": "name columns of the view pg_stat_wal_receiver, without conninfo",
    "pg_current_xact_id": "pg_current_xact_id_if_assigned() and pg_current_snapshot() only read",
    "pg_hba_file_rules": "pg_roles and information_schema.role_table_grants show who may read what",
    "pg_ls_waldir": "pg_stat_wal and pg_current_wal_lsn() only read",
    "pg_show_all_file_settings": "pg_settings shows the settings that apply",
    "query_to_xml": _QUERY_TO_XML_HINT,
    "query_to_xml_and_xmlschema": _QUERY_TO_XML_HINT,
    "query_to_xmlschema": "give it the query as one plain string",
    "set_config": "AT TIME ZONE and to_char() change how values look; current_setting() reads a setting",
    "setseed": "ORDER BY md5(id::text) gives rows in an order that is mixed and always the same",
    "table_to_xml": _XML_HINT,
    "textin": "write CAST('a' AS text)",
    "ts_rewrite": (
        "give it the words themselves, ts_rewrite(query, target, substitute), or the SQL as one plain string"
    ),
    "ts_stat": (
        "give it the query as one plain string; or unnest(tsvector_to_array(a)) gives the words: count them "
        "with GROUP BY"
    ),
    "txid_current": "txid_current_if_assigned() and txid_current_snapshot() only read",
}


def hint_for_call(name: str, reason: RefusalReason) -> str:
    """Return what to write instead of a call of a refused function."""
    *schemas, last = name.split(".")
    if reason is RefusalReason.UNKNOWN and not schemas and (hint := hint_for_function(last)):
        return hint
    if reason is RefusalReason.SQL_TEXT and last.startswith("crosstab"):
        return _PIVOT_HINT
    is_built_in = reason not in _REASONS_OF_CATALOG and schemas in ([], ["pg_catalog"])
    return _HINT_BY_NAME.get(last, HINT_BY_REASON[reason]) if is_built_in else HINT_BY_REASON[reason]


ROW_POLICY: Final = "the row policy"


class Refusal(NamedTuple):
    """Why a function or relation is refused: the object that causes it, and the reason.

    Attributes:
        cause: the name of the function or relation that causes the refusal.
        reason: the reason.
        policy: the row policy, or the expressions evaluated at planning, through which the cause is called,
            with their table; "" without one.
        allowable: the function that the settings can allow, as PG_MCP_SERVER_ALLOWED_FUNCTIONS spells it;
            "" if there is none.
    """

    cause: str
    reason: RefusalReason
    policy: str = ""
    allowable: str = ""

    def message_for(self, relation: str) -> str:
        """Return why a statement may not read a relation."""
        user = self.policy or "it"
        use = "" if self.cause == relation else f"{user} uses {self.cause}, which is refused because "
        return f"{relation} is not readable here: {use}{TEXT_BY_REASON[self.reason]}"

    def of_call(self, function: str) -> tuple[str, str] | None:
        """Return why a function is refused, and a hint, if the cause is another one that can be allowed.

        None if the general texts for the reason apply.
        """
        if self.cause == function or self.reason in UNREADABLE or not self.allowable:
            return None
        text = f"it uses {self.cause}, which is refused because {TEXT_BY_REASON[self.reason]}"
        return text, self._how_to_allow("it")

    def hint_for_relation(self) -> str:
        """Return the hint for a refused relation, for the caller and the person who configures the server."""
        if self.reason in UNREADABLE:
            hint = HINT_BY_REASON[self.reason].removesuffix(f"; {ALLOW_HINT}")
        else:
            hint = "" if self.policy else "query the tables behind it"
        if self.allowable:
            allow = self._how_to_allow("the policy" if self.policy.startswith(ROW_POLICY) else "it")
            hint = f"{hint}; {allow}" if hint else allow
        return hint or "an administrator changes that so that it does not use this"

    def _how_to_allow(self, trusted: str) -> str:
        allow = (
            f"an operator who trusts {trusted} adds {self.allowable} to PG_MCP_SERVER_ALLOWED_FUNCTIONS once"
        )
        if self.reason is not RefusalReason.VOLATILE or self.cause != self.allowable:
            return allow
        return f"{_DECLARE_STABLE.format(function=self.cause)}; {allow}"

"""Writes the validator's lists of functions from the catalogs of running PostgreSQL servers.

    uv run python -m scripts.generate_function_list URL [URL ...]

Give a superuser URL for each supported major version, or several if servers have
different extensions. Each URL should name an empty database, and its server must be
able to install its contrib extensions. The script writes
`pgmcp/validation/builtin_functions.tsv` and `extension_functions.tsv`: one function name
per line, sorted, so that a new major version gives a reviewable diff. The first line of
each file names the servers. Each function has the major versions that contain it, or the
reason of a manual verdict.

A function is allowed if queries can call it, if no pattern in `_REFUSED_NAMES` matches it,
and if all its overloads are immutable or stable or its name is in `_HARMLESS_VOLATILE`. A
refused function has a reason from `pgmcp.validation.refusal_reasons.RefusalReason`. If
only some major versions refuse a function, it is refused.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from pgmcp.validation.refusal_reasons import RefusalReason as Reason
from scripts.documented_functions import DOCUMENTED

_VALIDATION = Path(__file__).parent.parent / "pgmcp" / "validation"

# Regular expressions; the first match wins. `name/2` is only the overload with two arguments.
_REFUSED_NAMES: tuple[tuple[Reason, str], ...] = (
    (Reason.SLEEP, r"pg_sleep.*"),
    (
        Reason.FILES,
        r"pg_read_(binary_)?file(_old)?|pg_stat_file|pg_ls_.*|lo_import|lo_export|pg_(current|rotate)_logfile(_old)?",
    ),
    (Reason.FILES, r"pg_(hba_file_rules|ident_file_mappings|show_all_file_settings)"),
    (Reason.FILES, r"pg_get_logical_snapshot_.*|pg_file_(rename|sync|unlink|write)|pg_logdir_ls"),
    (Reason.LARGE_OBJECTS, r"lo_(?!oid$)[^/]*|loread|lowrite"),
    (
        Reason.SQL_TEXT,
        r"(query|cursor|table|schema|database)_to_xml.*|ts_stat|ts_rewrite/2|crosstab.*|connectby|xpath_table",
    ),
    (Reason.SQL_TEXT, r"dblink_build_sql_(insert|update)"),
    (Reason.INTERNAL, r"(dblink_fdw|postgres_fdw)_(handler|validator)"),
    (
        Reason.NETWORK,
        r"dblink(?!_(get_connections|get_pkey|current_query|build_sql_delete)$)[^/]*|postgres_fdw_disconnect.*|xslt_process",
    ),
    (Reason.SECRETS, r"pg_stat_get_wal_receiver"),
    (Reason.LOCKS, r"pg_(try_)?advisory_.*"),
    (Reason.SEQUENCES, r"nextval|setval|currval|lastval"),
    (Reason.NOTIFICATIONS, r"pg_notify"),
    (
        Reason.SETTINGS,
        r"set_config|setseed|set_limit|isn_weak/1|pg_reload_conf|pg_extension_config_dump|pg_stat_clear_snapshot",
    ),
    (
        Reason.OTHER_SESSIONS,
        r"pg_(cancel|terminate)_backend|pg_log_backend_memory_contexts|pg_isolation_test_.*",
    ),
    (Reason.TRANSACTION_ID, r"txid_current|pg_current_xact_id|pg_export_snapshot"),
    (
        Reason.WAL,
        r"pg_switch_wal|pg_create_restore_point|pg_backup_(start|stop)|pg_(start|stop)_backup|pg_log_standby_snapshot",
    ),
    (
        Reason.WAL,
        r"pg_promote|pg_wal_replay_(pause|resume)|pg_logical_emit_message|pg_get_wal_(record|block|stat).*",
    ),
    (Reason.WAL, r"pg_wal_summary_contents"),
    (Reason.REPLICATION, r"pg_(create|drop|copy)_.*replication_slot|pg_replication_slot_.*"),
    (
        Reason.REPLICATION,
        r"pg_replication_origin_(advance|create|drop|progress|session_(pro|re|setup).*|xact_.*)",
    ),
    (Reason.REPLICATION, r"pg_logical_slot_.*|pg_sync_replication_slots"),
    (Reason.STATISTICS, r"pg_stat_reset.*|pg_stat_statements_reset|pg_stat_force_next_flush"),
    (Reason.STATISTICS, r"pg_(clear|restore)_(attribute|relation)_stats"),
    (Reason.STORAGE, r"brin_(summarize|desummarize)_.*|gin_clean_pending_list|pg_prewarm|autoprewarm_.*"),
    (
        Reason.STORAGE,
        r"pg_truncate_.*|heap_force_.*|pg_buffercache_(evict|mark).*|pg_import_system_collations",
    ),
    (Reason.STORAGE, r"pg_nextoid|binary_upgrade_.*|pg_stop_making_pinned_objects"),
    (
        Reason.PAGES,
        r"get_raw_page.*|page_(header|checksum)|fsm_page_contents|heap_(page|tuple)_.*|tuple_data_split",
    ),
    (Reason.PAGES, r"bt_.*|brin_(page|meta|rev).*|(gin|gist)_(page|meta|leaf).*|hash_(page|bitmap|meta).*"),
    (Reason.PAGES, r"verify_heapam|gin_index_check|pg_check_.*|pgrowlocks"),
    (
        Reason.INTERNAL,
        r"pg_event_trigger_.*|currtid2?|amvalidate|unique_key_recheck|bernoulli|system(_rows|_time)?",
    ),
    (Reason.INTERNAL, r".*_(call_handler|inline_handler|validator)"),
)

_HARMLESS_VOLATILE = (
    # random numbers and clocks
    r"random|random_normal|normal_rand|gen_random_uuid|uuidv4|uuidv7|clock_timestamp|timeofday",
    r"array_sample|array_shuffle",
    r"gen_salt|gen_random_bytes|pgp_(sym|pub)_encrypt(_bytea)?|uuid_generate_v(1|1mc|4)",
    # volatile only in versions 13 and 14: `timetz AT TIME ZONE` reads the clock to find today's offset
    r"timezone",
    # sizes and partitions
    r"pg_(relation|table|indexes|total_relation|database|tablespace)_size|pg_partition_(tree|ancestors)",
    # statistics and state of the server
    r"pg_stat_get_.*|pg_stat_have_stats|pg_stat_statements(_info)?|pg_lock_status|pg_get_wait_events",
    r"pg_sequence_last_value|pg_blocking_pids|pg_safe_snapshot_blocking_pids|pg_is_in_recovery",
    r"pg_is_wal_replay_paused|pg_get_wal_replay_pause_state|pg_last_.*|pg_current_wal_.*lsn|pg_xact_.*|txid_status",
    r"pg_control_.*|pg_jit_available|pg_notification_queue_usage|pg_(database_)?collation_actual_version",
    r"pg_is_in_backup|pg_backup_start_time|pg_get_wal_resource_managers|pg_get_wal_summarizer_state",
    r"pg_available_wal_summaries|pg_replication_origin_session_is_setup|pg_show_replication_origin_status",
    r"pg_get_loaded_modules|postgres_fdw_get_connections",
    # return names of the session's connections, columns of a primary key, or SQL text without running it
    r"dblink_(get_connections|get_pkey|current_query|build_sql_delete)",
    r"pg_old_snapshot_time_mapping|fips_mode|ssl_.*",
    r"current_query|pg_prepared_xact|pg_get_multixact_members|pg_get_shmem_allocations(_numa)?",
    r"pg_get_backend_memory_contexts|pg_get_aios|pg_get_sequence_data|pgstat.*|pg_relpages|pg_freespace|pg_visibility.*|pg_buffercache.*",
)

# Only the server itself calls functions with these argument or result types; a query cannot.
_INTERNAL_TYPES = ["internal", "cstring", "trigger", "event_trigger", "language_handler"] + [
    f"{kind}_handler" for kind in ("fdw", "index_am", "table_am", "tsm")
]

_FUNCTIONS = """
SELECT CASE n.nspname WHEN 'information_schema' THEN 'information_schema.' || p.proname ELSE p.proname END,
       p.pronargs,
       p.provolatile = 'v',
       p.prokind <> 'a' AND (
           p.prorettype = ANY (%(internal)s::regtype[])
           OR p.proargtypes::oid[] && %(internal)s::regtype[]::oid[]
       ),
       coalesce(e.extname, '')
  FROM pg_proc p
  JOIN pg_namespace n ON n.oid = p.pronamespace
  LEFT JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
  LEFT JOIN pg_extension e ON e.oid = d.refobjid
 WHERE p.prokind <> 'p'
UNION ALL
-- A type name called with one argument is a cast: uuid('...').
SELECT t.typname, 1, false, false, coalesce(e.extname, '')
  FROM pg_type t
  LEFT JOIN pg_depend d ON d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e'
  LEFT JOIN pg_extension e ON e.oid = d.refobjid
 WHERE t.typtype IN ('b', 'r', 'm') AND t.typname !~ '^_'
   AND (e.oid IS NOT NULL OR t.typnamespace = 'pg_catalog'::regnamespace)
   AND NOT EXISTS (SELECT FROM pg_proc p WHERE p.proname = t.typname)
"""


@dataclass
class ListedFunction:
    """All overloads of one name, with one verdict.

    Attributes:
        refused_argument_count: the argument count of the refused overloads, if others are allowed.
        reason: the reason of a manual verdict.
        refused_type: the first argument's type of the refused overloads, if others are allowed.
    """

    name: str
    extension: str
    majors: set[int] = field(default_factory=set)
    refusal: Reason | None = None
    refused_argument_count: int | None = None
    reason: str = ""
    refused_type: str = ""

    def refuse(self, refusal: Reason, argument_count: int | None) -> None:
        """Refuse the function, and keep the first reason.

        Another overload or major version can extend the refusal to all overloads, but not withdraw it.
        """
        if self.refusal is None:
            self.refusal, self.refused_argument_count = refusal, argument_count
        elif self.refused_argument_count != argument_count:
            self.refused_argument_count = None

    def row(self) -> str:
        """Return the line of the data file."""
        verdict = f"refused:{self.refusal}" if self.refusal else "allowed"
        if self.refusal and self.refused_argument_count is not None:
            verdict += f"/{self.refused_argument_count}"
        elif self.refused_type:
            verdict += f"/{self.refused_type}"
        source = self.reason or self._majors()
        return "\t".join(filter(None, (self.extension, self.name, verdict, source))) + "\n"

    def _majors(self) -> str:
        """Return the major versions with the function, as in the data file: `13-18`, `13-14,18`."""
        runs: list[list[int]] = []
        for major in sorted(self.majors):
            if runs and runs[-1][-1] == major - 1:
                runs[-1].append(major)
            else:
                runs.append([major])
        return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def classify(
    name: str, arguments: int, *, volatile: bool, internal: bool
) -> tuple[Reason | None, int | None]:
    """Return the reason of a refusal or None, and the argument count if the pattern has one (`name/2`)."""
    bare = name.removeprefix("information_schema.")
    for refusal, pattern in _REFUSED_NAMES:
        if re.fullmatch(pattern, bare):
            return refusal, None
        if re.fullmatch(pattern, f"{bare}/{arguments}"):
            return refusal, arguments
    if internal:
        return Reason.INTERNAL, None
    if volatile and not any(re.fullmatch(pattern, bare) for pattern in _HARMLESS_VOLATILE):
        return Reason.VOLATILE, None
    return None, None


def install_extensions(connection: psycopg.Connection) -> None:
    """Install every extension that a superuser can install without preparation; report the others."""
    names = connection.execute("SELECT name FROM pg_available_extensions ORDER BY name").fetchall()
    for (name,) in names:
        try:
            connection.execute(f'CREATE EXTENSION IF NOT EXISTS "{name}" CASCADE')
        except psycopg.Error as error:
            sys.stderr.write(f"without {name}: {str(error).splitlines()[0]}\n")


@dataclass(frozen=True)
class ReadServer:
    """The functions of one server.

    Attributes:
        version: PostgreSQL's version number, 180004 for 18.4.
        overloads: (name, argument count, whether volatile, whether internal, extension) of each overload.
    """

    version: int
    overloads: list[tuple[str, int, bool, bool, str]]

    def described_version(self) -> str:
        """Return the version in its usual form: 18.4."""
        return f"{self.version // 10000}.{self.version % 10000}"


def read_server(url: str) -> ReadServer:
    """Install all extensions in an empty database, and read its functions."""
    with psycopg.connect(url, autocommit=True) as connection:
        install_extensions(connection)
        overloads = connection.execute(_FUNCTIONS, {"internal": _INTERNAL_TYPES}).fetchall()
        return ReadServer(connection.info.server_version, overloads)


def judge(servers: Iterable[ReadServer]) -> list[ListedFunction]:
    """Return each function name once, with its verdict over all servers."""
    listed: dict[tuple[str, str], ListedFunction] = {}
    for server in servers:
        for name, arguments, volatile, internal, extension in server.overloads:
            function = listed.setdefault((extension, name), ListedFunction(name, extension))
            function.majors.add(server.version // 10000)
            refusal, refused_count = classify(name, arguments, volatile=volatile, internal=internal)
            if refusal:
                function.refuse(refusal, refused_count)
    return list(listed.values())


def documented_functions() -> Iterator[ListedFunction]:
    """Yield the rows of `DOCUMENTED`."""
    for reason, extension, refusal, names in DOCUMENTED:
        for name, _, refused_type in (written.partition("/") for written in names.split()):
            yield ListedFunction(name, extension, refusal=refusal, reason=reason, refused_type=refused_type)


def main(urls: list[str]) -> None:
    """Write both files."""
    servers = sorted(map(read_server, urls), key=lambda server: server.version)
    functions = sorted(
        (*judge(servers), *documented_functions()), key=lambda function: (function.extension, function.name)
    )
    versions = ", ".join(dict.fromkeys(server.described_version() for server in servers))
    builtin = [function.row() for function in functions if not function.extension]
    extension = [function.row() for function in functions if function.extension]
    write_list("builtin_functions.tsv", versions, "name\tverdict\tmajors\n", builtin)
    write_list("extension_functions.tsv", versions, "extension\tname\tverdict\tmajors or reason\n", extension)


def write_list(file_name: str, versions: str, columns: str, rows: list[str]) -> None:
    """Write one data file of the validator: a line about its sources, the names of the columns, the rows."""
    heading = f"# From pg_proc of PostgreSQL {versions}, by scripts/generate_function_list.py\n"
    (_VALIDATION / file_name).write_text("".join((heading, columns, *rows)), encoding="utf-8")


if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.exit("name the URL of a superuser on a server of each supported major version")
    main(sys.argv[1:])

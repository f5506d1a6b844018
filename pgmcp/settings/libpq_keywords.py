"""Keywords and values of connection strings, and replacements for parameters of other drivers.

pgmcp's main process never loads libpq, so libpq's list of keywords (version 18, `PQconndefaults`) is repeated
here; a test compares the two.
"""

import difflib
import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Final

from pgmcp.plural import count_of
from pgmcp.settings.server_options import options_problem

_KEYWORDS_TEXT = """
application_name channel_binding client_encoding connect_timeout dbname fallback_application_name
gssdelegation gssencmode gsslib host hostaddr keepalives keepalives_count keepalives_idle
keepalives_interval krbsrvname load_balance_hosts max_protocol_version min_protocol_version
oauth_client_id oauth_client_secret oauth_issuer oauth_scope options passfile password port replication
require_auth requirepeer scram_client_key scram_server_key service ssl_max_protocol_version
ssl_min_protocol_version sslcert sslcertmode sslcompression sslcrl sslcrldir sslkey sslkeylogfile
sslmode sslnegotiation sslpassword sslrootcert sslsni target_session_attrs tcp_user_timeout user
"""
KEYWORDS: Final = frozenset(_KEYWORDS_TEXT.split())

_VALUES_BY_KEYWORD: Final = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "sslnegotiation": ("postgres", "direct"),
    "sslcertmode": ("disable", "allow", "require"),
    "gssencmode": ("disable", "prefer", "require"),
    "channel_binding": ("disable", "prefer", "require"),
    "load_balance_hosts": ("disable", "random"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
    "min_protocol_version": ("3.0", "3.2", "latest"),
    "max_protocol_version": ("3.0", "3.2", "latest"),
}
KEYWORD_BY_VARIABLE: Final = {
    "PGPORT": "port",
    "PGSSLMODE": "sslmode",
    "PGSSLNEGOTIATION": "sslnegotiation",
    "PGSSLCERTMODE": "sslcertmode",
    "PGSSLMINPROTOCOLVERSION": "ssl_min_protocol_version",
    "PGSSLMAXPROTOCOLVERSION": "ssl_max_protocol_version",
    "PGMINPROTOCOLVERSION": "min_protocol_version",
    "PGMAXPROTOCOLVERSION": "max_protocol_version",
    "PGGSSENCMODE": "gssencmode",
    "PGCHANNELBINDING": "channel_binding",
    "PGREQUIREAUTH": "require_auth",
    "PGLOADBALANCEHOSTS": "load_balance_hosts",
    "PGTARGETSESSIONATTRS": "target_session_attrs",
    "PGCONNECT_TIMEOUT": "connect_timeout",
    "PGCLIENTENCODING": "client_encoding",
    "PGOPTIONS": "options",
}
"""libpq's environment variables whose values are checked (manual, "Environment Variables")."""

_FILE_KEYWORDS_TEXT = "passfile sslcert sslcrl sslcrldir sslkey sslkeylogfile sslrootcert"
FILE_KEYWORDS: Final = frozenset(_FILE_KEYWORDS_TEXT.split())
"""Parameters whose values are paths."""

_FILE_VARIABLES_TEXT = """
PGPASSFILE PGSERVICEFILE PGSYSCONFDIR PGSSLCERT PGSSLCRL PGSSLCRLDIR PGSSLKEY PGSSLKEYLOGFILE PGSSLROOTCERT
"""
FILE_VARIABLES: Final = frozenset(_FILE_VARIABLES_TEXT.split())
"""libpq's environment variables whose values are paths."""

_AUTH_METHODS: Final = frozenset(["password", "md5", "gss", "sspi", "scram-sha-256", "oauth", "none"])
# PostgreSQL's src/common/encnames.c, in lower case and without signs, as the server compares them.
_ENCODINGS_TEXT: Final = """
abc alt auto big5 euccn eucjis2004 eucjp euckr euctw gb18030 gbk johab koi8 koi8r koi8u mskanji muleinternal
shiftjis shiftjis2004 sjis sqlascii tcvn tcvn5712 uhc unicode utf8 vscii win
"""
_ENCODINGS: Final = frozenset(
    [
        *_ENCODINGS_TEXT.split(),
        *(f"iso8859{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16)),
        *(f"latin{number}" for number in range(1, 11)),
        *(
            f"{name}{page}"
            for name in ("win", "windows")
            for page in (866, 874, 932, 936, 949, 950, *range(1250, 1259))
        ),
    ]
)
_TLS_VERSIONS: Final = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")  # libpq ignores their case
_NUMBERS_TEXT = """
connect_timeout keepalives keepalives_count keepalives_idle keepalives_interval tcp_user_timeout
"""
_NUMBERS: Final = frozenset(_NUMBERS_TEXT.split())

_LEAVE_OUT: Final = "remove it"
_POOL: Final = "remove it; PG_MCP_DATABASE_MAX_POOL_SIZE limits the connections"
_KEPT: Final = "remove it; PG_MCP_DATABASE_MIN_POOL_SIZE keeps connections open"
_ENDED: Final = "remove it; pgmcp closes old and idle connections itself"
_TIMEOUT: Final = "remove it; PG_MCP_SERVER_QUERY_TIMEOUT limits a statement"
_SCHEMA: Final = "write options=-c%20search_path%3DNAME, or remove it"
_TLS: Final = "write sslmode=require, or sslmode=verify-full with sslrootcert"

# Parameters of Prisma, JDBC, SQLAlchemy with asyncpg, node-postgres, pgx, Rails and Npgsql, in lower case.
_HINT_BY_FOREIGN_NAME: Final = {
    "schema": _SCHEMA,
    "currentschema": _SCHEMA,
    "schema_search_path": _SCHEMA,
    "searchpath": _SCHEMA,
    "pgbouncer": "remove it; pgmcp works behind PgBouncer without it",
    "connection_limit": _POOL,
    "pool_timeout": _POOL,
    "pool": _POOL,
    "pool_size": _POOL,
    "max": _POOL,
    "pool_max_conns": _POOL,
    "maxpoolsize": _POOL,
    "maximumpoolsize": _POOL,
    "minpoolsize": _KEPT,
    "pooling": _POOL,
    "pool_min_conns": _KEPT,
    "pool_max_conn_lifetime": _ENDED,
    "pool_max_conn_lifetime_jitter": _ENDED,
    "pool_max_conn_idle_time": _ENDED,
    "pool_health_check_period": _ENDED,
    "pool_recycle": _ENDED,
    "max_overflow": _POOL,
    "conn_max_age": _ENDED,
    "idletimeoutmillis": _ENDED,
    "reaping_frequency": _ENDED,
    "max_idle_connection_lifetime": _ENDED,
    "cluster": "write options=--cluster%3DNAME",
    "endpoint": "write options=endpoint%3DNAME",
    "applicationname": "write application_name",
    "loadbalancehosts": "write load_balance_hosts=random",
    "sslaccept": "write sslmode=verify-full with sslrootcert, or sslmode=require to check no certificate",
    "sslidentity": "write sslcert and sslkey",
    "sslfactory": _TLS,
    "ssl": _TLS,
    "tls": _TLS,
    "rejectunauthorized": _TLS,
    "statement_cache_size": _LEAVE_OUT,
    "prepared_statement_cache_size": _LEAVE_OUT,
    "prepared_statements": _LEAVE_OUT,
    "preparethreshold": _LEAVE_OUT,
    "prefer_simple_protocol": _LEAVE_OUT,
    "default_query_exec_mode": _LEAVE_OUT,
    "uselibpqcompat": _LEAVE_OUT,
    "rewritebatchedinserts": _LEAVE_OUT,
    "readonly": "remove it; every statement runs read-only",
    "command_timeout": _TIMEOUT,
    "socket_timeout": _TIMEOUT,
    "sockettimeout": _TIMEOUT,
    "query_timeout": _TIMEOUT,
    "timeout": "write connect_timeout",
    "logintimeout": "write connect_timeout",
    "connecttimeout": "write connect_timeout",
    "connectiontimeoutmillis": "write connect_timeout, in seconds",
    "acquiretimeoutmillis": _TIMEOUT,
    "targetservertype": "write target_session_attrs",
    "tcpkeepalive": "write keepalives=1",
    "server_settings": "write options=-c%20NAME%3DVALUE",
    "encoding": "write client_encoding",
    "charset": "write client_encoding",
    "username": "write user",
    "pwd": "write password",
    "database": "write dbname",
    "db": "write dbname",
    "server": "write host",
    "hostname": "write host",
}
_SERVER_SETTINGS_TEXT = """
search_path statement_timeout lock_timeout idle_in_transaction_session_timeout transaction_timeout
timezone datestyle intervalstyle role work_mem
"""
_SERVER_SETTINGS: Final = frozenset(_SERVER_SETTINGS_TEXT.split())
_HINT_BY_FOREIGN_SSLMODE: Final = {
    "no-verify": "write sslmode=require, which encrypts without a check of the certificate",
    "verifyca": "write sslmode=verify-ca",
    "verifyfull": "write sslmode=verify-full",
    "true": "write sslmode=require",
    "false": "write sslmode=disable",
}
_SSLMODE_BY_SSL: Final = {
    **dict.fromkeys(("true", "1", "on", "yes", "no-verify"), "require"),
    **dict.fromkeys(("false", "0", "off", "no"), "disable"),
    **{mode: mode for mode in _VALUES_BY_KEYWORD["sslmode"]},
}
_TARGET_BY_SERVER_TYPE: Final = {
    "any": "any",
    "primary": "primary",
    "master": "primary",
    "secondary": "standby",
    "slave": "standby",
    "prefersecondary": "prefer-standby",
    "preferslave": "prefer-standby",
}


def find_problem(keyword: str, text: str) -> str:
    """Return the problem with one parameter and its solution; "" if libpq accepts it.

    Args:
        keyword: as written; it appears in the message.
        text: its decoded value, which may be a password and never appears in the message.
    """
    if keyword not in KEYWORDS:
        return f"libpq has no parameter {keyword[:40]!r}: {_hint(keyword, text)}"
    if allowed := _VALUES_BY_KEYWORD.get(keyword):
        return "" if text in allowed else _wrong_value(keyword, text, allowed)
    if keyword in FILE_KEYWORDS and text.startswith("~"):
        return f"{keyword}: libpq does not replace ~ by the home folder: write the whole path"
    if keyword in _NUMBERS and not re.fullmatch(r"\s*[-+]?\d+\s*", text, re.ASCII):
        return f"{keyword} takes a whole number"
    check = _CHECK_BY_KEYWORD.get(keyword)
    return check(text) if check and text else ""


def find_conflicts(given: Mapping[str, str]) -> Iterator[str]:
    """Yield the problems of parameters that libpq refuses together.

    Args:
        given: values by keyword, of one connection string.
    """
    mode = given.get("sslmode")
    if mode in ("disable", "allow", "prefer") and given.get("sslnegotiation") == "direct":
        yield "sslnegotiation=direct needs sslmode=require, verify-ca or verify-full"
    if mode not in (None, "verify-full") and given.get("sslrootcert") == "system":
        yield "sslrootcert=system needs sslmode=verify-full"
    for low, high, order in (
        ("ssl_min_protocol_version", "ssl_max_protocol_version", _TLS_VERSIONS),
        ("min_protocol_version", "max_protocol_version", _VALUES_BY_KEYWORD["min_protocol_version"]),
    ):
        places = {text.lower(): place for place, text in enumerate(order)}
        ends = [places.get(given.get(name, "").lower()) for name in (low, high)]
        if ends[0] is not None and ends[1] is not None and ends[0] > ends[1]:
            yield f"{low} is greater than {high}"
    yield from _count_conflicts({name: text.split(",") for name, text in given.items() if text})


def _count_conflicts(lists: Mapping[str, list[str]]) -> Iterator[str]:
    hosts = lists.get("hostaddr") or lists.get("host")
    if hosts is None:
        return
    if "host" in lists and len(lists["host"]) != len(hosts):
        counts = f"{len(lists['host'])} and {len(hosts)}"
        yield f"host and hostaddr differ in length, {counts}: write an address for each host"
    if "port" in lists and len(lists["port"]) not in (1, len(hosts)):
        number = count_of(len(hosts), "host")
        yield f"port names {len(lists['port'])} ports for {number}: write one, or one for each host"


def _tls_version_problem(text: str) -> str:
    known = text.lower() in {version.lower() for version in _TLS_VERSIONS}
    return (
        ""
        if known
        else f"ssl_min_protocol_version and ssl_max_protocol_version take {', '.join(_TLS_VERSIONS)}"
    )


def _encoding_problem(text: str) -> str:
    if "".join(filter(str.isalnum, text)).lower() in _ENCODINGS:
        return ""
    return "client_encoding takes the name of an encoding of PostgreSQL, such as utf8 or latin1"


def _auth_problem(text: str) -> str:
    methods = [method.strip() for method in text.split(",")]
    names = [method.removeprefix("!") for method in methods]
    if not _AUTH_METHODS.issuperset(names):
        return f"require_auth takes {', '.join(sorted(_AUTH_METHODS))}, or each of them after a !"
    if len({method.startswith("!") for method in methods}) > 1:
        return "require_auth takes either methods, or methods after a !, not both"
    return ""


def _replication_problem(text: str) -> str:
    if text.lower() in ("false", "off", "no", "0"):
        return ""
    return "replication: remove it; a replication connection runs no queries"


def _address_problem(text: str) -> str:
    try:
        for address in filter(None, text.split(",")):
            ipaddress.ip_address(address.strip())
    except ValueError:
        return "hostaddr takes IP addresses; write a name as host"
    return ""


def _hint(keyword: str, text: str) -> str:
    folded = keyword.lower()
    if folded in ("ssl", "tls") and (mode := _SSLMODE_BY_SSL.get(text.lower())):
        return f"write sslmode={mode}" + (", or verify-full with sslrootcert" if mode == "require" else "")
    if folded == "targetservertype" and (target := _TARGET_BY_SERVER_TYPE.get(text.lower())):
        return f"write target_session_attrs={target}"
    if folded in KEYWORDS:
        return f"write {folded}, in lower case"
    if hint := _HINT_BY_FOREIGN_NAME.get(folded):
        return hint
    if folded in _SERVER_SETTINGS:
        return f"write a server setting as options=-c%20{folded}%3DVALUE"
    near = difflib.get_close_matches(folded, sorted(KEYWORDS), n=1, cutoff=0.75)
    if near:
        return f"did you mean {near[0]}?"
    return "remove it; PostgreSQL's manual lists all parameters under Parameter Key Words"


def _wrong_value(keyword: str, text: str, allowed: tuple[str, ...]) -> str:
    hint = ""
    if text.lower() in allowed:
        hint = f"; write {text.lower()}, in lower case"
    elif text.lower().replace("_", "-") in allowed:
        hint = f"; write {text.lower().replace('_', '-')}"
    elif ";" in text:
        hint = "; write & between parameters, not a semicolon"
    elif keyword == "sslmode" and (words := _HINT_BY_FOREIGN_SSLMODE.get(text.lower())):
        hint = f"; {words}"
    return f"{keyword} takes {', '.join(allowed)}{hint}"


def _port_problem(text: str) -> str:
    ports = [port.strip() for port in text.split(",")]
    if all(not port or (port.isascii() and port.isdigit() and 1 <= int(port[:6]) <= 65535) for port in ports):
        return ""
    return "port takes numbers from 1 to 65535, one for each host"


_CHECK_BY_KEYWORD: Final = {
    "port": _port_problem,
    "hostaddr": _address_problem,
    "require_auth": _auth_problem,
    "replication": _replication_problem,
    "client_encoding": _encoding_problem,
    "options": options_problem,
    "ssl_min_protocol_version": _tls_version_problem,
    "ssl_max_protocol_version": _tls_version_problem,
}

"""Chooses hints for failed connections by the message of libpq, PostgreSQL or a pooler.

The first row that matches applies, so special rows come before general ones. If no row matches, the SQLSTATE
decides, for example if the message is not in English. Without a row for it, the error's default hint is used.
"""

import re
from typing import Final

VARIABLE_PREFIX: Final = "PG_MCP_DATABASE_"
"""The beginning of a database's variables in the hints."""

CHECK_CREDENTIALS: Final = "check the database name, the user, the password and the server's pg_hba.conf"
CHECK_ADDRESS: Final = (
    "check that the database runs and that host and port are right; the next call connects again"
)
CONNECTION_ENDED: Final = "the server ended the connection; the next call connects again"
CONNECTION_LOST: Final = (
    "the server, or a pooler or firewall in front of it, closed the connection without giving a reason: the "
    "server's log may show one, such as a restart or a transaction_timeout of the role; a proxy such as "
    "HAProxy closes connections that are silent longer than its `timeout client` and `timeout server`; the "
    "next call connects again"
)
CLOSED_BEFORE_LOGIN: Final = (
    "the host accepted the connection and closed it before the login: a proxy such as HAProxy or nginx does "
    "so if no server behind it works, and its log says why; without a proxy, see the server's log, and check "
    "that the port is PostgreSQL's"
)

_WHO_HOLDS: Final = (
    "pg_stat_activity shows who has the connections: lower PG_MCP_DATABASE_MAX_POOL_SIZE of each process of "
    "pgmcp"
)

_REFUSED: Final = "password authentication failed|clear text authentication failed"

_HINT_BY_WORDS: Final = (
    # These rows come first: with sslmode=prefer, libpq tries again without TLS, so the message goes on with
    # the server's refusal.
    (
        r"private key file .* has group or world access",
        "other users may read the key file (sslkey): run chmod 600 on it",
    ),
    (
        r"certificate present, but not private key file|private key file .* is not a regular file",
        "set sslkey to the file of the key that belongs to sslcert",
    ),
    (
        r"certificate does not match private key|key values mismatch",
        "sslcert and sslkey must be the files of one certificate and its key",
    ),
    (
        r"could not load private key file",
        "the key file (sslkey) has a pass phrase, which needs sslpassword, or it has no key in PEM format",
    ),
    (
        r"could not (?:read|open) certificate file",
        "set sslcert to a PEM file with the client's certificate, which the user of this server may read",
    ),
    (
        r"no such database",
        "PgBouncer has no database of that name: check PG_MCP_DATABASE_DBNAME, or the name at the end of the "
        "URL, and the [databases] section of pgbouncer.ini",
    ),
    (
        r"statement pooling mode",
        "pgmcp runs each statement in a transaction, which PgBouncer's statement mode does not allow: set "
        "pool_mode = transaction or session in pgbouncer.ini for this database or user",
    ),
    (
        r"unsupported startup parameter: replication",
        "PgBouncer accepts no replication connections: remove replication from the URL and from the service "
        "file",
    ),
    (
        r"unsupported startup parameter: geqo",
        "PgBouncer does not accept the setting geqo, which libpq takes from the environment: unset PGGEQO, "
        "and set it with ALTER ROLE; or add it to ignore_startup_parameters in pgbouncer.ini",
    ),
    (
        r"unsupported startup parameter",
        "PgBouncer does not accept this startup parameter: remove it from the URL (`options=`) and from the "
        "environment (PGOPTIONS), and set it with ALTER ROLE; or add it to ignore_startup_parameters in "
        "pgbouncer.ini",
    ),
    (
        r"max_client_conn|max_db_client_connections|max_user_client_connections",
        "PgBouncer accepts no more clients: lower PG_MCP_DATABASE_MAX_POOL_SIZE, or raise max_client_conn in "
        "pgbouncer.ini; cancel requests need a free connection, too",
    ),
    (
        r"login rejected",
        "PgBouncer's auth_hba_file does not accept this user from this address: have its administrator add "
        "a line",
    ),
    (
        r"FATAL:  SSL required",
        "PgBouncer accepts only connections with TLS: set PG_MCP_DATABASE_SSL_MODE=require, and remove "
        "sslmode from the URL, which overrides it",
    ),
    (
        r"SASL authentication failed|\"trust\" authentication failed|FATAL:  no such user",
        "the pooler does not know the user, or the password is wrong: check PG_MCP_DATABASE_USER and "
        "PG_MCP_DATABASE_PASSWORD, or both in the URL; PgBouncer needs the user in auth_file or by "
        "auth_query, which finds only roles with LOGIN; scram-sha-256 needs a password or a SCRAM secret, "
        "not an MD5 hash",
    ),
    (
        r"bouncer config error",
        "PgBouncer cannot run its auth_query: its log says why; have its administrator correct auth_query "
        "and auth_user in pgbouncer.ini",
    ),
    (
        r"bad packet header: '[0-9a-f]{8}0003",
        "the pooler does not support this version of the protocol: remove min_protocol_version and "
        "max_protocol_version from the URL, and unset PGMINPROTOCOLVERSION and PGMAXPROTOCOLVERSION",
    ),
    (
        r"bad (?:packet|pkt) header",
        "PgBouncer does not let pgmcp's own statements through, because they are longer than its "
        "max_packet_size: have its administrator raise it in pgbouncer.ini",
    ),
    (
        r"PQexec disallowed",
        "PgBouncer accepts no simple queries: remove disable_pqexec from pgbouncer.ini",
    ),
    (
        r"idle[_ ]transaction[_ ]timeout|client[_ ]idle[_ ]timeout",
        "PgBouncer ended an idle connection; the next call connects again",
    ),
    (
        r"admin console|FATAL:  not allowed(?:;|$)",
        "`pgbouncer` is PgBouncer's admin console: set the name of a database in PG_MCP_DATABASE_DBNAME or "
        "the URL",
    ),
    (
        r"configuration parameter|invalid value for parameter|parameter \S+ (?:cannot be changed|requires)"
        r"|requires a value|to set parameter|command-line argument",
        "correct the setting that the message names: it comes from options= or client_encoding= in the URL, "
        "or from libpq's environment variables (PGOPTIONS, PGTZ, PGDATESTYLE, PGGEQO)",
    ),
    (
        r"conversion between UTF8 and \S+ is not supported",
        "PostgreSQL cannot convert the encoding of this database to UTF8, which pgmcp needs: copy the data "
        "to a database in UTF8",
    ),
    (
        r"weak sslmode",
        "set PG_MCP_DATABASE_SSL_MODE, or sslmode in the URL, to a mode that the message names",
    ),
    (
        r"channel binding required",
        "channel binding needs TLS and scram-sha-256: set PG_MCP_DATABASE_SSL_MODE=require, or remove "
        "channel_binding=require",
    ),
    (
        r"authentication method requirement",
        "the server requires an authentication method that require_auth (PGREQUIREAUTH) does not allow: add"
        " the method to require_auth, or remove require_auth",
    ),
    (
        r"did not request an SSL certificate",
        "the server does not request a client certificate: remove sslcertmode=require (PGSSLCERTMODE)",
    ),
    (
        r"GSSAPI",
        "get a Kerberos ticket (kinit), or remove gssencmode=require (PGGSSENCMODE)",
    ),
    (
        r"replication connection",
        "a replication connection runs no queries: remove replication from the URL",
    ),
    (
        r"invalid SCRAM (?:client|server) key",
        "correct scram_client_key and scram_server_key, or remove them and set the password",
    ),
    (
        r"is not currently accepting connections",
        "the database exists, but accepts no connections: have its owner run ALTER DATABASE … "
        "ALLOW_CONNECTIONS true, or name another in PG_MCP_DATABASE_DBNAME or the URL",
    ),
    (
        r"database does not allow connections|database is (?:paused|disabled)|is disabled",
        "the pooler has paused or disabled this database: have its administrator enable it (PgBouncer: "
        "RESUME or ENABLE)",
    ),
    (
        r"server login has been failing|server_login_retry|cannot connect to server|login failed"
        r"|client_login_timeout",
        "PgBouncer cannot log in to the PostgreSQL server: the name of the database may be wrong, the server "
        "may be down, or it refuses the user; PgBouncer's log says which; it tries again after "
        "server_login_retry seconds",
    ),
    (
        r"query_wait_timeout|no answer within",
        "the pooler has no free server connection, or the server is busy: raise default_pool_size in "
        "pgbouncer.ini (num_init_children in pgpool.conf), or lower PG_MCP_DATABASE_MAX_POOL_SIZE; a "
        "database that PgBouncer has paused (PAUSE) answers after RESUME; PgBouncer's log says whether it "
        "can log in to the server",
    ),
    (
        r"(?-i:Sorry), too many clients|error response during SSL exchange",
        "the pooler accepts no more clients: lower PG_MCP_DATABASE_MAX_POOL_SIZE of each process of pgmcp, "
        "or have its administrator raise the limit (pgpool-II: num_init_children in pgpool.conf)",
    ),
    (
        r"failed to create a backend connection",
        "pgpool-II cannot connect to the PostgreSQL server: check that this server runs, and pgpool-II's log",
    ),
    (
        r"backend nodes are down|no valid (?:backend )?node",
        "pgpool-II considers all its nodes down: if PostgreSQL runs, have its administrator attach them "
        "with pcp_attach_node",
    ),
    (
        r"failed to authenticate with backend|valid password not found",
        "pgpool-II has no password for this user: have its administrator add the user to pool_passwd",
    ),
    (
        r"function (?:pg_catalog\.)?pg_backend_pid\S* does not exist|Scalar Function .*pg_backend_pid",
        "this server speaks PostgreSQL's protocol but lacks functions of pg_catalog that pgmcp needs: "
        "connect to PostgreSQL, or see docs/databases.md for the engines that work",
    ),
    (
        _REFUSED,
        "the user or the password is wrong: check PG_MCP_DATABASE_USER and PG_MCP_DATABASE_PASSWORD, or both "
        "in the URL, where a % is written %25; behind a pooler, the password that the pooler has for the "
        "server may be the wrong one",
    ),
    (
        r"no password supplied",
        "the server asks for a password: set PG_MCP_DATABASE_PASSWORD, or add it to the URL or to ~/.pgpass",
    ),
    (
        r'database "[^"]*" does not exist',
        "check PG_MCP_DATABASE_DBNAME, or the name at the end of the URL; `psql -l` lists the databases; a "
        "pooler may use another name on the server",
    ),
    (
        r'role "[^"]*" does not exist',
        "check PG_MCP_DATABASE_USER, or the user in the URL; `pgmcp setup-sql` prints a script that creates "
        "a role; a pooler may use another role on the server",
    ),
    (
        r"is not permitted to log in",
        "the role may not log in: have an administrator run ALTER ROLE … LOGIN, or use another role",
    ),
    (
        r"permission denied for database",
        "the role may not connect to this database: have an administrator run GRANT CONNECT ON DATABASE …; "
        "`pgmcp setup-sql` prints the script",
    ),
    (
        r"client certificate|alert certificate required",
        "the server requires a client certificate: add sslcert=… and sslkey=… to PG_MCP_DATABASE_URL",
    ),
    # PostgreSQL 14 and later say "no encryption", earlier ones "SSL off".
    (
        r"\A(?!.*(?:SSL encryption|SSL on)).*pg_hba\.conf.*(?:no encryption|SSL off)",
        "the server accepts no connection without TLS from this address: set "
        "PG_MCP_DATABASE_SSL_MODE=require, or better verify-full with PG_MCP_DATABASE_SSL_ROOT_CERT, and "
        "remove sslmode from the URL, which overrides it; if TLS is refused too, pg_hba.conf has no line for "
        "this user, database and address",
    ),
    (
        r"pg_hba\.conf",
        "the server's pg_hba.conf does not accept this user from this address: have its administrator add a"
        " line such as `hostssl DATABASE USER ADDRESS scram-sha-256` and reload the configuration",
    ),
    (
        r"server does not support SSL",
        "the server does not use TLS: have an administrator turn it on (ssl = on); on a network that you "
        "trust, remove sslmode from the URL, and set PG_MCP_DATABASE_SSL_MODE=prefer if it is set",
    ),
    (
        r"certificate verify failed",
        "the server's certificate has expired, or no CA that this machine trusts has signed it: set "
        "PG_MCP_DATABASE_SSL_ROOT_CERT to the file of the CA's certificate",
    ),
    (
        r"server certificate for .* does not match host name",
        "the server's certificate is for another host name: connect by a name that is in it, or set "
        "PG_MCP_DATABASE_SSL_MODE=verify-ca, which checks only who signed it",
    ),
    (
        r"root certificate file",
        "the file of CA certificates cannot be used: set PG_MCP_DATABASE_SSL_ROOT_CERT to a PEM file with "
        "the certificate of the CA that signed the server's",
    ),
    (
        r"too many connections for role",
        f"{_WHO_HOLDS}, or have the role's limit raised (ALTER ROLE … CONNECTION LIMIT …)",
    ),
    (
        r"too many connections for database",
        f"{_WHO_HOLDS}, or have the database's limit raised (ALTER DATABASE … CONNECTION LIMIT …)",
    ),
    (
        r"too many clients|remaining connection slots",
        f"{_WHO_HOLDS}, or have max_connections raised, or put a pooler in front of the server",
    ),
    (
        r"too many connections",
        f"{_WHO_HOLDS}, or have the server's max_connections or the CONNECTION LIMIT of the role or the "
        "database raised",
    ),
    (
        r"max clients reached|max client connections reached|MaxClientsIn|unable to check out"
        r"|timed-out waiting to acquire",
        "the pooler has no free connection: lower PG_MCP_DATABASE_MAX_POOL_SIZE of each process of pgmcp, or "
        "have the pool enlarged where the database is hosted",
    ),
    (
        r"database system is (?:starting up|shutting down|in recovery)|not yet accepting connections",
        "the server is starting or stopping: try again in a moment",
    ),
    # libpq names the server in messages about a connection that it could not open.
    (
        r"\A(?!connection to server).*(?:SSL error: unexpected eof|SSL connection has been closed)",
        CONNECTION_LOST,
    ),
    (
        r"SSL error: unexpected eof",
        "the server ended the TLS handshake: remove sslnegotiation=direct if it has no TLS or is older than "
        "PostgreSQL 17",
    ),
    (
        r"invalid response to SSL negotiation|expected authentication request",
        "the server on that port is not PostgreSQL: check PG_MCP_DATABASE_PORT, or the port in the URL",
    ),
    (
        r"(?:failed to resolve|could not translate) host",
        "the host name could not be resolved: check its spelling in PG_MCP_DATABASE_HOST or the URL, and "
        "the DNS",
    ),
    (
        r"on socket ",
        "no server listens on that local socket: if the database runs elsewhere, set PG_MCP_DATABASE_URL or "
        "PG_MCP_DATABASE_HOST",
    ),
    (
        r"connection refused",
        "no server listens on that host and port: check that the database runs, and PG_MCP_DATABASE_HOST and "
        "PG_MCP_DATABASE_PORT or the URL; in a container, localhost is the container itself",
    ),
    (
        r"timeout expired|timed out|no connection within|no route to host|network is unreachable",
        "the host does not answer, or a pooler on it waits for the server: check host and port, whether a "
        "firewall blocks the connection, the name of the database, and the pooler's log",
    ),
    (
        r"hot standby mode|session is (?:not )?read-only",
        "no host matches PG_MCP_DATABASE_TARGET_SESSION_ATTRS: correct that setting, or add hosts",
    ),
    (
        r"terminating connection due to \S+ timeout",
        "a timeout of the role, the database or the server ended the connection; it is too short for "
        "pgmcp's own statements: have an administrator raise it",
    ),
    (r"terminating connection|unable to (?:read data from|write data to) DB node", CONNECTION_ENDED),
    (
        r"\Aconnection to server.*(?:server closed the connection|connection reset|broken pipe)",
        CLOSED_BEFORE_LOGIN,
    ),
    (
        r"server closed the connection|connection reset|broken pipe",
        CONNECTION_LOST,
    ),
    (
        r"syntax error in service file|service file .* not found|nested \"?service",
        "correct ~/.pg_service.conf or the file that PGSERVICEFILE names: below [NAME] each line is "
        "keyword=value, with keywords of libpq",
    ),
    (
        r"libpq cannot read the connection string",
        "correct PG_MCP_DATABASE_URL and the other PG_MCP_DATABASE_ settings; the installed libpq may be "
        "older than a parameter in them",
    ),
    (
        r"invalid (?:sslmode|\w+) value|invalid integer value|invalid port number|invalid connection option",
        "correct the parameter that the message names, in PG_MCP_DATABASE_URL, in the service file or in "
        "libpq's environment variables",
    ),
    (
        r"definition of service .* not found",
        "correct PG_MCP_DATABASE_SERVICE, or add the service to ~/.pg_service.conf or the file that "
        "PGSERVICEFILE names",
    ),
)
_HINTS: Final = tuple((re.compile(words, re.IGNORECASE | re.DOTALL), hint) for words, hint in _HINT_BY_WORDS)


_WORDS_BY_SQLSTATE: Final = {
    "28P01": "password authentication failed",
    "3D000": 'database "" does not exist',
    "42501": "permission denied for database",
    "53300": "too many connections",
    "57P03": "database system is starting up",
}
"""The English message by SQLSTATE, for servers whose messages are in another language."""


def hint_for(message: str, default: str, *, sqlstate: str = "") -> str:
    """Return the hint for a connection that failed with this message, or the default if no row matches.

    Args:
        default: the hint if neither the message nor the SQLSTATE has a row.
        sqlstate: determines the hint if no row matches the message.
    """
    found = _find(message) or _find(_WORDS_BY_SQLSTATE.get(sqlstate, ""))
    return found or default


def hint_for_password(message: str, origin: str, *, sqlstate: str = "") -> str:
    """Return the hint for a refused password; "" if the message is about something else.

    Args:
        origin: where the password came from, for example "the password that a command printed".
    """
    is_wrong = re.search(_REFUSED, message, re.IGNORECASE) or sqlstate == "28P01"
    if not is_wrong or not origin:
        return ""
    return (
        f"{origin} was refused: check that it is the present password of the user that the message names; "
        "behind a pooler, the password that the pooler has for the server may be the wrong one"
    )


def _find(message: str) -> str:
    return next((hint for words, hint in _HINTS if words.search(message)), "")

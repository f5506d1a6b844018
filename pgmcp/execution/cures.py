"""What helps against a connection that could not be made, told by libpq's and PostgreSQL's words.

The first row that fits wins, so the special ones come first. Where the server
speaks another language than English, or the words are new, there is a cure that is always right.
"""

import re
from typing import Final

CHECK_CREDENTIALS: Final = (
    "check the configured database name, user and password, and the server's pg_hba.conf"
)
CHECK_ADDRESS: Final = "check that it runs and that host and port are right; the next call tries again"
CONNECTION_ENDED: Final = "the connection was ended on the server; the next call connects anew"

_CURE_BY_WORDS: Final = (
    # First: with sslmode=prefer, libpq tries again without TLS, and the server's refusal follows.
    (
        r"private key file .* has group or world access",
        "remove the access of group and others from the key file (sslkey): chmod 600",
    ),
    (
        r"no such database",
        "PgBouncer serves no database of that name: check PG_MCP_DATABASE_DBNAME, or the name at the end of "
        "the URL, and the [databases] section of pgbouncer.ini",
    ),
    (
        r"statement pooling mode",
        "pgmcp runs each statement in a transaction: set pool_mode = transaction or session in PgBouncer for "
        "this database or user",
    ),
    (
        r"unsupported startup parameter",
        "PgBouncer does not accept this startup parameter: remove it from the URL (`options=`) and from the "
        "environment (PGOPTIONS), and set it with ALTER ROLE; or list it in PgBouncer's "
        "ignore_startup_parameters",
    ),
    (
        r"max_client_conn|max_db_client_connections|max_user_client_connections",
        "PgBouncer accepts no further client: lower PG_MCP_DATABASE_MAX_POOL_SIZE, or raise max_client_conn "
        "in pgbouncer.ini; cancel requests need a free place too",
    ),
    (
        r"admin console",
        "`pgbouncer` is PgBouncer's own console: name a database in PG_MCP_DATABASE_DBNAME or the URL",
    ),
    (
        r"server login has been failing|server_login_retry|cannot connect to server|login failed",
        "PgBouncer cannot log in to the PostgreSQL server behind it: its log says why; it tries again after "
        "server_login_retry seconds",
    ),
    (
        r"query_wait_timeout|no answer within",
        "the pooler has no server connection free, or the server is busy: raise default_pool_size in "
        "PgBouncer (num_init_children in pgpool-II), or lower PG_MCP_DATABASE_MAX_POOL_SIZE",
    ),
    (
        r"database does not allow connections|database is (?:paused|disabled)|is disabled",
        "the database is paused or disabled at the pooler: its administrator enables it (PgBouncer: RESUME "
        "or ENABLE)",
    ),
    (
        r"backend nodes are down|no valid (?:backend )?node",
        "pgpool-II takes all its nodes for down: when PostgreSQL runs, its administrator attaches them with "
        "pcp_attach_node",
    ),
    (
        r"failed to authenticate with backend|valid password not found",
        "pgpool-II has no password for this user: its administrator adds the user to pool_passwd",
    ),
    (
        r"function (?:pg_catalog\.)?pg_backend_pid\S* does not exist|Scalar Function .*pg_backend_pid",
        "this server speaks PostgreSQL's protocol but lacks pg_catalog functions that pgmcp needs: connect "
        "to PostgreSQL, see docs/databases.md for tested engines",
    ),
    (
        r"password authentication failed",
        "the password or the user is wrong: check PG_MCP_DATABASE_USER and PG_MCP_DATABASE_PASSWORD, "
        "or both in the URL, where a % is written %25",
    ),
    (
        r"no password supplied",
        "set PG_MCP_DATABASE_PASSWORD, put the password into the URL, or into ~/.pgpass",
    ),
    (
        r'database "[^"]*" does not exist',
        "check PG_MCP_DATABASE_DBNAME, or the name at the end of the URL; `psql -l` lists what there is",
    ),
    (
        r'role "[^"]*" does not exist',
        "check PG_MCP_DATABASE_USER, or the user in the URL; `pgmcp setup-sql` helps to make one",
    ),
    (r"is not permitted to log in", "an administrator lets it in with ALTER ROLE … LOGIN"),
    (
        r"permission denied for database",
        "an administrator lets it in with GRANT CONNECT ON DATABASE …; `pgmcp setup-sql` prints the script",
    ),
    (
        r"client certificate",
        "the server wants a certificate of ours: add sslcert=… and sslkey=… to PG_MCP_DATABASE_URL",
    ),
    # PostgreSQL 14 and later say "no encryption", earlier ones "SSL off".
    (
        r"\A(?!.*(?:SSL encryption|SSL on)).*pg_hba\.conf.*(?:no encryption|SSL off)",
        "the server lets nobody in from here without TLS: set PG_MCP_DATABASE_SSL_MODE=require, or better "
        "verify-full with PG_MCP_DATABASE_SSL_ROOT_CERT, and take sslmode out of the URL, where it wins; if "
        "that is refused too, its pg_hba.conf lacks a line for this user, database and address",
    ),
    (
        r"pg_hba\.conf",
        "the server's pg_hba.conf does not let this user in from this address: its administrator adds a line "
        "like `hostssl DATABASE USER ADDRESS scram-sha-256` and reloads",
    ),
    (
        r"server does not support SSL",
        "the server has no TLS: have it switched on there (ssl = on), or set PG_MCP_DATABASE_SSL_MODE=prefer "
        "if everybody on the network may read along",
    ),
    (
        r"certificate verify failed",
        "no CA that is trusted here has signed the server's certificate, or it has expired: set "
        "PG_MCP_DATABASE_SSL_ROOT_CERT to the file of the CA's certificate",
    ),
    (
        r"server certificate for .* does not match host name",
        "connect by a name that is in the server's certificate, or set PG_MCP_DATABASE_SSL_MODE=verify-ca, "
        "which checks who signed it and not for whom",
    ),
    (
        r"root certificate file",
        "set PG_MCP_DATABASE_SSL_ROOT_CERT to a PEM file with the certificate of the CA that signed the "
        "server's",
    ),
    (
        r"too many (?:clients|connections)|remaining connection slots",
        "the server or the role has no connection left: lower PG_MCP_DATABASE_MAX_POOL_SIZE, or have "
        "max_connections or the role's CONNECTION LIMIT raised",
    ),
    (
        r"database system is (?:starting up|shutting down|in recovery)|not yet accepting connections",
        "the server starts or stops just now: try again in a moment",
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
        "no server listens at that local socket: set PG_MCP_DATABASE_URL or PG_MCP_DATABASE_HOST if it runs "
        "elsewhere",
    ),
    (
        r"connection refused",
        "nothing listens there: check that the database runs, and host and port (PG_MCP_DATABASE_PORT, or "
        "the URL); in a container, localhost is the container",
    ),
    (
        r"timeout expired|timed out|no connection within|no route to host|network is unreachable",
        "nothing answers there: check host and port, and that no firewall is in the way",
    ),
    (
        r"hot standby mode|session is (?:not )?read-only",
        "no host is of the kind that PG_MCP_DATABASE_TARGET_SESSION_ATTRS asks for: correct it, or name more "
        "hosts",
    ),
    (r"terminating connection", CONNECTION_ENDED),
    (
        r"syntax error in service file|service file .* not found|nested \"service\"",
        "correct ~/.pg_service.conf or the file of PGSERVICEFILE: below [NAME] each line is "
        "keyword=value, with libpq's keywords only",
    ),
    (
        r"libpq cannot read the connection string",
        "correct PG_MCP_DATABASE_URL and the other PG_MCP_DATABASE_ settings; the libpq that is "
        "installed may be older than a parameter in them",
    ),
    (
        r"invalid (?:sslmode|\w+) value|invalid integer value|invalid port number|invalid connection option",
        "correct the named parameter where it is set: PG_MCP_DATABASE_URL, the service file or libpq's own "
        "environment variables",
    ),
    (
        r"definition of service .* not found",
        "PG_MCP_DATABASE_SERVICE names no service in ~/.pg_service.conf or the file of PGSERVICEFILE",
    ),
)
_CURES: Final = tuple((re.compile(words, re.IGNORECASE | re.DOTALL), cure) for words, cure in _CURE_BY_WORDS)


def cure_for(message: str, default: str) -> str:
    """Return what to do about a connection that failed with these words; the default if they are unknown."""
    return next((cure for words, cure in _CURES if words.search(message)), default)

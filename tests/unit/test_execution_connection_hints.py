import pytest

from pgmcp.execution.connection_hints import CHECK_ADDRESS, hint_for

AT = 'connection to server at "127.0.0.1", port 5432 failed: '
REFUSED = AT + 'FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "me", database "shop", '


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (f'{AT}FATAL:  password authentication failed for user "me"', "PG_MCP_DATABASE_PASSWORD"),
        (f"{AT}fe_sendauth: no password supplied", "set PG_MCP_DATABASE_PASSWORD"),
        (f'{AT}FATAL:  database "shop" does not exist', "PG_MCP_DATABASE_DBNAME"),
        (f'{AT}FATAL:  role "me" does not exist', "PG_MCP_DATABASE_USER"),
        (f'{AT}FATAL:  role "me" is not permitted to log in', "ALTER ROLE"),
        (f'{AT}FATAL:  permission denied for database "shop"', "GRANT CONNECT"),
        (f"{AT}FATAL:  connection requires a valid client certificate", "sslcert"),
        (
            f'{AT}private key file "k" has group or world access; {AT}FATAL:  no pg_hba.conf entry for host '
            '"10.0.0.1", user "me", database "shop", no encryption',
            "chmod 600",
        ),
        (f"{AT}server does not support SSL, but SSL was required", "ssl = on"),
        (f"{AT}SSL error: certificate verify failed", "PG_MCP_DATABASE_SSL_ROOT_CERT"),
        (f'{AT}server certificate for "a" does not match host name "b"', "a name that is in"),
        (f'{AT}could not read root certificate file "x": no certificate found', "PEM file"),
        (f"{AT}FATAL:  sorry, too many clients already", "max_connections"),
        (f'{AT}FATAL:  too many connections for role "me"', "CONNECTION LIMIT"),
        (f"{AT}FATAL:  the database system is starting up", "in a moment"),
        (f"{AT}received invalid response to SSL negotiation: H", "not PostgreSQL"),
        ("failed to resolve host 'db': [Errno -2] Name or service not known", "spelling"),
        ('connection to server on socket "/tmp/.s.PGSQL.5432" failed: No such file', "local socket"),
        (f"{AT}Connection refused; Is the server running on that host?", "no server listens on that host"),
        ("connection timeout expired", "firewall"),
        ("no connection within 30 s", "firewall"),
        (f"{AT}server is not in hot standby mode", "PG_MCP_DATABASE_TARGET_SESSION_ATTRS"),
        ('definition of service "shop" not found', "PG_MCP_DATABASE_SERVICE"),
        ('nested service specifications not supported in service file "/x", line 2', "[NAME]"),
        ('syntax error in service file "/x", line 2', "[NAME]"),
        ("libpq cannot read the connection string", "may be older than a parameter"),
        ('private key file "/x" has group or world access; file must have permissions u=rw', "chmod 600"),
        ('invalid sslmode value: "no-verify"', "PG_MCP_DATABASE_URL"),
        ("terminating connection due to administrator command; server closed it", "connects again"),
        ("terminating connection due to transaction timeout; server closed it", "too short for pgmcp's own"),
        (f"{AT}server sent an error response during SSL exchange", "num_init_children"),
        (f"{AT}FATAL:  Sorry, too many clients already", "num_init_children"),
        ("unable to read data from DB node 0", "the next call connects again"),
        (f"{AT}FATAL:  failed to create a backend connection; DETAIL:  not executing", "pgpool-II's log"),
        (f"{AT}ERROR:  clear text authentication failed; DETAIL:  password does not match", "is wrong"),
        (f"{AT}FATAL:  no such database: nodb", "[databases]"),
        (f"{AT}FATAL:  unsupported startup parameter: options", "ignore_startup_parameters"),
        (f"{AT}FATAL:  unsupported startup parameter: replication", "remove replication from the URL"),
        (f"{AT}FATAL:  unsupported startup parameter: geqo", "unset PGGEQO"),
        (f"{AT}FATAL:  no more connections allowed (max_client_conn)", "max_client_conn"),
        ("transaction blocks not allowed in statement pooling mode", "pool_mode"),
        ("this is PgBouncer's admin console, not a database", "set the name of a database"),
        (
            f"{AT}FATAL:  server login has been failing, try again later (server_login_retry)",
            "PgBouncer's log",
        ),
        (f"{AT}server closed the connection unexpectedly; before or while processing", "HAProxy or nginx"),
        (f"{AT}Connection reset by peer", "HAProxy or nginx"),
        ("consuming input failed: server closed the connection unexpectedly", "`timeout server`"),
        ("FATAL:  query_wait_timeout", "default_pool_size"),
        ("connected, but no answer within 5 s", "default_pool_size"),
        (
            f"{AT}FATAL:  pgpool is not accepting any more new connections; all backend nodes are down",
            "pcp_attach_node",
        ),
        (f"{AT}ERROR:  failed to authenticate with backend using SCRAM", "pool_passwd"),
        (f'{AT}FATAL:  unrecognized configuration parameter "nosuch"', "PGOPTIONS"),
        (f'{AT}FATAL:  invalid value for parameter "TimeZone": "Nowhere/X"', "PGTZ"),
        (f'{AT}FATAL:  parameter "server_version" cannot be changed', "options="),
        (f"{AT}FATAL:  -c foo requires a value", "options="),
        (f"{AT}FATAL:  invalid command-line argument for server process: garbage", "options="),
        ('weak sslmode "prefer" may not be used with sslnegotiation=direct', "PG_MCP_DATABASE_SSL_MODE"),
        (f"{AT}channel binding required, but SSL not in use", "channel_binding"),
        (f'{AT}authentication method requirement "none" failed: server requested SASL', "require_auth"),
        (f"{AT}server did not request an SSL certificate", "sslcertmode"),
        ("GSSAPI encryption required but no credential cache", "kinit"),
        (f"{AT}SSL error: unexpected eof while reading", "sslnegotiation"),
        ("consuming input failed: SSL error: unexpected eof while reading", "the server's log"),
        ("consuming input failed: SSL connection has been closed unexpectedly", "the server's log"),
        (f"{AT}FATAL:  login rejected", "auth_hba_file"),
        (f"{AT}FATAL:  not allowed", "admin console"),
        (f'{AT}FATAL:  database "closed" is not currently accepting connections', "ALLOW_CONNECTIONS"),
        (f"{AT}FATAL:  bad packet header: '0000005500030002'", "max_protocol_version"),
        (f"{AT}server closed the connection unexpectedly; invalid socket", "the server's log"),
        (f"{AT}FATAL:  conversion between UTF8 and MULE_INTERNAL is not supported", "database in UTF8"),
        ("le serveur est en panne", CHECK_ADDRESS),
    ],
)
def test_a_failed_connection_gets_the_hint_for_its_cause(message: str, words: str) -> None:
    assert words in hint_for(message, CHECK_ADDRESS)


@pytest.mark.parametrize("without", ["no encryption", "SSL off"])
def test_the_hint_asks_for_tls_if_only_unencrypted_connections_have_no_pg_hba_rule(without: str) -> None:
    assert "PG_MCP_DATABASE_SSL_MODE=require" in hint_for(REFUSED + without, "")


@pytest.mark.parametrize(
    "message",
    [f"{REFUSED}SSL encryption", f"{REFUSED}SSL on", f"{REFUSED}SSL encryption; {REFUSED}no encryption"],
)
def test_the_hint_names_pg_hba_if_connections_with_tls_have_no_rule_either(message: str) -> None:
    assert hint_for(message, "").startswith("the server's pg_hba.conf does not accept this user")

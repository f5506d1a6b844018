import pytest
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from pgmcp.settings.conninfo import holds_secret, normalize, values, without_secrets
from pgmcp.settings.libpq_keywords import KEYWORDS


@pytest.mark.parametrize(
    ("conninfo", "expected"),
    [
        (
            "postgresql://me:p%40ss@db:5433/shop?sslmode=require",
            {
                "host": "db",
                "port": "5433",
                "dbname": "shop",
                "user": "me",
                "password": "p@ss",
                "sslmode": "require",
            },
        ),
        ("postgresql://a:1,[::1]:2/x", {"host": "a,::1", "port": "1,2", "dbname": "x"}),
        ("postgresql:///shop", {"dbname": "shop"}),
        ("postgresql://db/my shop?ssl=true", {"host": "db", "dbname": "my shop", "sslmode": "require"}),
        (r"host=db password='it\'s' dbname=", {"host": "db", "password": "it's"}),
        ("", {}),
    ],
)
def test_a_connection_string_is_recognised_by_its_keywords(conninfo: str, expected: dict[str, str]) -> None:
    assert values(conninfo) == expected


@pytest.mark.parametrize(
    ("conninfo", "shown"),
    [
        ("postgresql://me:Quagga@db/shop", "postgresql://me:***@db/shop"),
        ("postgresql://me:Qua@gga/1@db/shop", "postgresql://me:***@db/shop"),
        (
            "postgresql://me@db/shop?sslmode=require&password=Quagga",
            "postgresql://me@db/shop?sslmode=require&password=***",
        ),
        ("host=db password=Quagga sslpassword=Quagga", "host=db password=*** sslpassword=***"),
        ("host=db oauth_client_secret=Quagga", "host=db oauth_client_secret=***"),
        ("postgresql://db/shop", "postgresql://db/shop"),
    ],
)
def test_a_connection_string_is_shown_without_its_passwords(conninfo: str, shown: str) -> None:
    assert without_secrets(conninfo) == shown
    assert holds_secret(conninfo) == ("***" in shown)


@pytest.mark.parametrize(
    "conninfo", ["Quagga", "mysql://me:Quagga@db", "postgresql://me:12?x=Quagga@db/shop"]
)
def test_an_unparsable_connection_string_is_not_shown(conninfo: str) -> None:
    assert "Quagga" not in without_secrets(conninfo)
    assert holds_secret(conninfo)


def test_the_keywords_are_those_of_libpq() -> None:
    libpqs = {default.keyword.decode() for default in pq.Conninfo.get_defaults()}

    assert libpqs <= KEYWORDS
    if pq.version() >= 180000:
        assert libpqs == KEYWORDS


@pytest.mark.parametrize(
    "conninfo",
    [
        "postgresql://me:a%zz@db:5433/shop?sslmode=require&connect_timeout=5&application_name=me@here",
        "postgresql://db/shop?ssl=true",
        "postgresql://db/shop?options=-capp.tenant=a&sslmode=require&",
        "postgresql://db/shop?%73slmode=require",
        "postgresql://db/shop?application_name=50%",
        "postgresql://a:1,b/shop?target_session_attrs=prefer-standby&load_balance_hosts=random",
        "postgresql://db/shop?ssl_min_protocol_version=tlsv1.3&channel_binding=require",
        "host=a,db port=5432,5433 sslmode=verify-full connect_timeout=' 5 '",
        "service=shop",
        "postgresql://postgres.abcdef:a@aws-0-eu-central-1.pooler.supabase.com:6543/postgres",
        "postgresql://alex:a@ep-x-pooler.us-east-2.aws.neon.tech/neondb?sslmode=require&options=endpoint%3Dep-x",
        "postgresql://alex:endpoint=ep-x;a@ep-x.us-east-2.aws.neon.tech/neondb",
        "postgresql://[fdaa:0:1::2]:5432/postgres",
        "postgres://postgres:a@top2.nearest.of.my-db.internal:5432",
        "postgresql://me%40azure:a@azure.postgres.database.azure.com:5432/postgres?sslmode=require",
        "postgresql://me:a@db/shop?host=/cloudsql/project:region:instance",
        "postgresql://me:a@%2Fvar%2Frun%2Fpostgresql/shop",
        "host=mydb.us-east-1.rds.amazonaws.com sslmode=verify-full sslrootcert=/certs/bundle.pem user=me",
        "postgres://jack:a@foo.example.com:5432,bar.example.com:5432/mydb",
        "postgresql://me:a@db/shop?options=-c search_path=sales,public",
        "host=db user=me password=secret,",
        "postgresql://me:a@db/my shop",
        "postgresql://a,b,c/shop?port=1,2,3&hostaddr=10.0.0.1,10.0.0.2,::1",
        "postgresql://%2Ftmp/shop?client_encoding=ISO-8859-15&replication=off",
        "postgresql://db/shop?options=-c work_mem=8MB&application_name=a b",
        "postgresql://db/shop?options=-c%20statement_timeout%3D1.5min%20--lock-timeout%3D.5s%20-E%20-f%20n",
        "postgresql://db/shop?options=-cjit=of -c default_transaction_isolation=repeatable%5C%20read",
        "postgresql://db/shop?options=-c search_path=a,b -c app.tenant=x -c lock_timeout=0x10",
        "postgresql://db/shop?require_auth=!password,!md5&sslnegotiation=direct&sslmode=require",
        "host=db ssl_min_protocol_version=TLSv1.2 ssl_max_protocol_version=TLSv1.2 sslrootcert=system",
    ],
)
def test_connection_strings_that_libpq_accepts_are_accepted(conninfo: str) -> None:
    assert conninfo_to_dict(normalize(conninfo))


@pytest.mark.parametrize(
    ("conninfo", "expected"),
    [
        ("postgresql://me:Quagga@db/shop?schema=public", "'schema': write options=-c%20search_path%3D"),
        ("postgresql://me:Quagga@db/shop?pgbouncer=true", "'pgbouncer': remove it"),
        ("postgresql://me:Quagga@db/shop?connection_limit=1", "PG_MCP_DATABASE_MAX_POOL_SIZE"),
        ("postgresql://me:Quagga@db/shop?sslaccept=strict", "sslmode=verify-full"),
        (
            "postgresql://db/shop?pool_max_conns=10&pool_max_conn_lifetime=1h",
            "'pool_max_conn_lifetime': remove",
        ),
        ("postgresql://db/shop?max=20&idleTimeoutMillis=30000", "'idleTimeoutMillis': remove it"),
        ("postgresql://db/shop?connectionTimeoutMillis=2000", "write connect_timeout, in seconds"),
        ("postgresql://db/shop?ApplicationName=x", "write application_name"),
        ("postgresql://root@db:26257/shop?cluster=abc", "write options=--cluster%3DNAME"),
        ("postgresql://db/shop?target_session_attrs=read_write", "write read-write"),
        ("postgresql://db/shop?sslmode=verify_full", "write verify-full"),
        ("postgresql://db/shop?sslmode=require;connect_timeout=5", "write & between parameters"),
        ("postgresql://db/shop;sslmode=require", "write ? before the first parameter"),
        ("postgresql://db/shop?sslmode=require&amp;connect_timeout=5", "not &amp;"),
        ("postgresql://me:Quagga%00@db/shop", "cannot contain %00"),
        ("postgresql://db/shop?sslrootcert=~/ca.pem", "sslrootcert: libpq does not replace ~"),
        ("${{Postgres.DATABASE_URL}}", "nothing has replaced it"),
        ("{{ database_url }}", "nothing has replaced it"),
        ("postgresql://me:Quagga@${{RAILWAY_PRIVATE_DOMAIN}}:5432/shop", "nothing has replaced it"),
        ("postgresql://me:${DB_PASSWORD}@db:5432/shop", "nothing has replaced it"),
        ("PGPASSWORD=Quagga psql -h db.example.com -U me shop", "write the URL alone"),
        ('psql "host=db dbname=shop password=Quagga"', "write the URL alone"),
        ("me:Quagga@my-db.internal:5432", "write postgresql:// before it"),
        ("jdbc:aws-wrapper:postgresql://db/shop", "remove 'jdbc:aws-wrapper:'"),
        ("jdbc:postgresql://db/shop?currentSchema=a&password=Quagga", "'currentSchema': write options="),
        ("postgresql+asyncpg://me:Quagga@db/shop?ssl=require", "'ssl': write sslmode=require"),
        ("postgis://me:Quagga@db/gis", "write postgresql:// instead of postgis://"),
        ("postgresq://me:Quagga@db/shop", "write postgresql:// instead of postgresq://"),
        ("redshift+psycopg2://me:Quagga@db/dev", "write postgresql:// instead of redshift+psycopg2://"),
        ("postgresql:/me:Quagga@db/shop", "with a colon and two slashes"),
        ("socket://me:Quagga@/var/run/postgresql?db=shop", "write the folder of a socket as host"),
        ("host=db, dbname=shop password=Quagga", "by spaces, not by commas"),
        ("postgresql://me:Quagga@db/shop?sslmode=no-verify", "write sslmode=require"),
        ("postgresql://me:Quagga@db/shop?sslmode=REQUIRE", "write require, in lower case"),
        ("postgresql://me:Quagga@db/shop?sslmode=Quagga", "sslmode takes disable, allow"),
        ("postgresql://me:Quagga@db/shop?ssl=require", "'ssl': write sslmode=require, or verify-full"),
        ("postgresql://me:Quagga@db/shop?ssl=1", "'ssl': write sslmode=require"),
        ("postgresql://me:Quagga@db/shop?ssl=false", "'ssl': write sslmode=disable"),
        ("postgresql://me:Quagga@db/shop?ssl=verify-full", "'ssl': write sslmode=verify-full"),
        ("postgresql://me:Quagga@db/shop?ssl=Quagga", "'ssl': write sslmode=require"),
        (
            "postgresql://a,b/shop?targetServerType=preferSecondary",
            "write target_session_attrs=prefer-standby",
        ),
        ("postgresql://db/shop?schema_search_path=a", "'schema_search_path': write options="),
        ("postgresql://me:Quagga?a=b@db/shop", "write a ? in the user or password as %3F"),
        ("postgresql://me:Quagga@db/shop?currentSchema=a", "'currentSchema': write options="),
        ("postgresql://me:Quagga@db/shop?prepared_statement_cache_size=0", "remove it"),
        ("postgresql://me:Quagga@db/shop?statement_timeout=5", "options=-c%20statement_timeout%3D"),
        (
            "postgresql://me:Quagga@db/shop?options=-c statement_timeout=Quagga",
            "options: statement_timeout takes a number with us, ms, s, min, h or d, such as 5s",
        ),
        ("host=db password=Quagga options='-c lock_timeout=-1'", "options: lock_timeout takes a number"),
        (
            "postgresql://me:Quagga@db/shop?options=--work-mem%3D8mb",
            "options: work_mem takes a number with B,",
        ),
        ("postgresql://me:Quagga@db/shop?options=-cjit%3DQuagga", "options: jit takes on or off"),
        (
            "postgresql://me:Quagga@db/shop?options=-c default_transaction_isolation=repeatable read",
            "default_transaction_isolation takes serializable, repeatable read",
        ),
        (
            "postgresql://me:Quagga@db/shop?options=statement_timeout=Quagga",
            "statement_timeout has no -c before it",
        ),
        ("postgresql://me:Quagga@db/shop?options=-c search_path=a, Quagga", "as \\ and a space"),
        ("postgresql://me:Quagga@db/shop?options=-c statement_timeout", "one has no value"),
        ("postgresql://me:Quagga@db/shop?sslmod=require", "did you mean sslmode?"),
        ("postgresql://me:Quagga@db/shop?connect_timeout=10s", "connect_timeout takes a whole number"),
        ("postgresql://me:Quagga@db/shop?sslmode", "expected name=value after the ?"),
        ("postgresql://me:12?Quagga=1@db/shop", "as %3F"),
        ("postgresql+asyncpg://me:Quagga@db/shop", "remove the driver name '+asyncpg'"),
        ("jdbc:postgresql://db/shop?password=Quagga", "remove 'jdbc:'"),
        ("Host=db;Database=shop;Password=Quagga", "by spaces, not by semicolons"),
        ("User ID=me;Password=Quagga;Host=db", "by spaces, not by semicolons"),
        ("pgsql:host=db;dbname=shop;password=Quagga", "by spaces, not by semicolons"),
        ("psql 'postgresql://me:Quagga@db/shop?sslmode=require'", "write the URL alone"),
        ('"postgresql://me:Quagga@db/shop"', "write the URL alone"),
        ("<postgresql://me:Quagga@db/shop>", "write the URL alone"),
        ("DATABASE_URL=postgresql://me:Quagga@db/shop", "write the URL alone"),
        ('export DATABASE_URL="postgresql://me:Quagga@db/shop"', "write the URL alone"),
        ("${DATABASE_URL}", "nothing has replaced it"),
        ("mysql://me:Quagga@db/shop", "begins with mysql://, and pgmcp connects to PostgreSQL only"),
        ("prisma+postgres://accelerate.example/?api_key=Quagga", "a protocol of Prisma's own"),
        ("me:Quagga@db:5432/shop", "write postgresql:// before it"),
        ("postgresql://me:[YOUR-PASSWORD]@db/shop", "is a placeholder"),
        ("postgresql://me:%3Cpassword%3E@db/shop", "is a placeholder"),
        ("postgresql://me:Quagga@db/shop?async_fallback=true", "'async_fallback': remove it"),
        ("Host=db password=Quagga", "write host, in lower case"),
        ("host=db database=shop password=Quagga", "'database': write dbname"),
        ("host=db port=5432a password=Quagga", "port takes numbers"),
        ("postgresql://me:Quagga@db:99999/shop", "port takes numbers from 1 to 65535"),
        ("postgresql://me:Quagga@db/shop?port=1,2", "port names 2 ports for 1 host:"),
        ("host=a,b hostaddr=10.0.0.1 password=Quagga", "host and hostaddr differ in length, 2 and 1"),
        ("postgresql://me:Quagga@db/shop?hostaddr=db", "hostaddr takes IP addresses"),
        ("postgresql://me:Quagga@http://db/shop", "write the host without a scheme"),
        ("postgresql://me:Quagga@db/%ff", "are UTF-8"),
        ("postgresql://me:Quagga@db/shop?sslmode=", "sslmode takes disable, allow"),
        ("host=db connect_timeout='' password=Quagga", "connect_timeout takes a whole number"),
        ("postgresql://me:Quagga@db/shop?client_encoding=Quagga", "client_encoding takes the name"),
        ("postgresql://me:Quagga@db/shop?replication=database", "replication: remove it"),
        ("postgresql://me:Quagga@db/shop?require_auth=scram", "require_auth takes gss, md5"),
        ("postgresql://me:Quagga@db/shop?require_auth=md5,!password", "not both"),
        ("postgresql://me:Quagga@db/shop?sslnegotiation=direct&sslmode=prefer", "needs sslmode=require"),
        ("postgresql://me:Quagga@db/shop?sslrootcert=system&sslmode=require", "needs sslmode=verify-full"),
        (
            "host=db password=Quagga ssl_min_protocol_version=TLSv1.3 ssl_max_protocol_version=TLSv1.2",
            "ssl_min_protocol_version is greater than ssl_max_protocol_version",
        ),
        ("host=db,port=5433,user=me password=Quagga", "separate libpq's pairs by spaces"),
        ("user=me,password=Quagga host=db", "separate libpq's pairs by spaces"),
        ("host=db user=me password=two Quagga", "after password: put a value with spaces into single quotes"),
        ("host=db password='Quagga dbname=shop", "the quoted value of password does not end"),
        ("postgresql://me:Quagga@db:five/shop", "a port is a number"),
        ("postgresql://me:Quagga@a:1,db:543x/shop", "a port is a number"),
        ("postgresql://me:Quagga@a,b:5432,5433/shop", "write each port after its host"),
        (
            "postgresql://me:Quagga@db/shop?min_protocol_version=3.2&max_protocol_version=3.0",
            "min_protocol_version is greater than max_protocol_version",
        ),
    ],
)
def test_connection_strings_that_libpq_refuses_are_refused_with_a_hint(conninfo: str, expected: str) -> None:
    with pytest.raises(ValueError, match=r".") as refusal:
        normalize(conninfo)

    assert expected in str(refusal.value)
    assert "Quagga" not in str(refusal.value)

import pytest

from pgmcp.settings.conninfo import holds_secret, values, without_secrets


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
        (r"host=db password='it\'s' dbname=", {"host": "db", "password": "it's"}),
        ("", {}),
    ],
)
def test_a_connection_string_is_told_by_its_keywords(conninfo: str, expected: dict[str, str]) -> None:
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
def test_what_is_no_connection_string_is_not_shown(conninfo: str) -> None:
    assert "Quagga" not in without_secrets(conninfo)
    assert holds_secret(conninfo)

import pytest

from pgmcp.execution.identity_executor import application_name
from pgmcp.execution.result import JsonScalar
from pgmcp.execution.role import read_privileges

READER: list[JsonScalar] = [
    "reader",
    False,
    False,
    False,
    False,
    False,
    None,
    0,
    False,
    None,
    None,
    0,
    0,
    False,
    None,
    None,
]


def test_a_role_that_can_only_read_has_no_risks() -> None:
    assert read_privileges(READER).risks == ()


@pytest.mark.parametrize(
    ("position", "value", "named"),
    [
        (1, True, "superuser"),
        (2, True, "REPLICATION"),
        (3, True, "BYPASSRLS"),
        (4, True, "CREATEROLE"),
        (5, True, "CREATEDB"),
        (6, "pg_read_server_files, pg_signal_backend", "pg_signal_backend"),
        (7, 3, "3 tables"),
        (8, True, "create schemas"),
        (9, "public", "public"),
        (10, "dba", "become dba"),
        (11, 2, "2 sequences"),
        (12, 4, "owns 4"),
        (13, True, "large objects"),
        (14, "work_mem, jit", "ALTER SYSTEM: work_mem, jit"),
        (15, "lo_compat_privileges", "set lo_compat_privileges"),
    ],
)
def test_each_privilege_beyond_reading_is_named_as_a_risk(
    position: int, value: JsonScalar, named: str
) -> None:
    row = [*READER]
    row[position] = value

    (risk,) = read_privileges(row).risks

    assert named in risk


def test_further_privileges_of_a_superuser_are_not_listed() -> None:
    privileges = read_privileges(
        ["postgres", True, True, True, True, True, "pg_monitor", 900, True, "public", "dba", 7, 900]
    )

    assert not any("900" in risk or "pg_monitor" in risk for risk in privileges.risks)


@pytest.mark.parametrize(
    ("principal", "host", "name"),
    [
        ("alice", "cursor 2.1", "pgmcp alice (cursor 2.1)"),
        ("alice", "", "pgmcp alice"),
        ("", "claude-ai 0.1.0", "pgmcp (claude-ai 0.1.0)"),
        ("jürgen\n", "a\tb", "pgmcp j?rgen? (a?b)"),
        ("a" * 100, "cursor", "pgmcp " + "a" * 57),
    ],
)
def test_the_application_name_is_printable_and_at_most_as_long_as_postgresql_keeps(
    principal: str, host: str, name: str
) -> None:
    assert application_name("pgmcp", principal, host) == name

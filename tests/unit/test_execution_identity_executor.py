"""How pg_stat_activity names the statements of a principal."""

import pytest

from pgmcp.execution.identity_executor import application_name


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
def test_a_name_is_printable_and_as_long_as_postgresql_keeps(principal: str, host: str, name: str) -> None:
    assert application_name("pgmcp", principal, host) == name

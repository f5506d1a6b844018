"""Checks whether the login role may become each role of the mapping, and what that role could do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pgmcp.execution.catalog_access import Fetch, fetch_own, find_unreadable, without
from pgmcp.quoting import quote_always, quote_literal
from pgmcp.untrusted import escape_untrusted

# From PostgreSQL 16 on, SET ROLE needs a privilege of its own. A role with the privileges of the login role
# sees in pg_stat_activity what others run. If pg_roles may not be read, the attributes are NULL.
_MAPPED_ROLES: Final = """
SELECT w.name, r.id IS NOT NULL AS is_there,
       CASE WHEN r.id IS NULL THEN false ELSE pg_catalog.pg_has_role(session_user, r.id, v.right_to_set) END,
       a.rolsuper, a.rolbypassrls,
       CASE WHEN r.id IS NULL THEN false ELSE pg_catalog.pg_has_role(r.id, session_user, 'USAGE') END,
       session_user::pg_catalog.text, v.right_to_set
FROM pg_catalog.unnest(ARRAY[{names}]::pg_catalog.text[]) AS w (name)
CROSS JOIN LATERAL (
    SELECT pg_catalog.to_regrole(pg_catalog.quote_ident(w.name))::pg_catalog.oid AS id) AS r
CROSS JOIN (
    SELECT CASE WHEN pg_catalog.int4in(pg_catalog.textout(
                    pg_catalog.current_setting('server_version_num'))) >= 160000
                THEN 'SET' ELSE 'MEMBER' END::pg_catalog.text AS right_to_set) AS v
LEFT JOIN pg_catalog.pg_roles AS a ON a.oid = r.id
"""


@dataclass(frozen=True, slots=True)
class MappedRole:
    """A role that principals are mapped to.

    Attributes:
        problem: why the login role cannot become this role; "" if it can.
        hint: how to solve the problem.
        risks: clauses about what this role can do although no grant or policy for callers allows it.
    """

    name: str
    problem: str = ""
    hint: str = ""
    risks: tuple[str, ...] = ()


async def read_mapped_roles(fetch: Fetch, roles: Sequence[str]) -> list[MappedRole]:
    """Return what PostgreSQL knows about these roles, in the given order.

    Args:
        fetch: runs a statement with the login role.

    Raises:
        CatalogDeniedError: PostgreSQL refused the query.
        ExecutionError: the database did not answer.
    """
    names = ", ".join(map(quote_literal, roles))
    sql = without(_MAPPED_ROLES.format(names=names), await find_unreadable(fetch))
    rows = {str(row[0]): row[1:] for row in (await fetch_own(fetch, sql)).rows}
    return [_mapped_role(role, *rows[role]) for role in roles]


def _mapped_role(
    role: str,
    is_there: object,
    may_be_set: object,
    is_superuser: object,
    bypasses_policies: object,
    has_login_rights: object,
    login: object,
    right: object,
) -> MappedRole:
    shown, login_role = escape_untrusted(role), escape_untrusted(str(login))
    if not is_there:
        return MappedRole(
            role,
            f"there is no role {shown}",
            f"create it (CREATE ROLE {quote_role(role)}) and grant it, or correct PG_MCP_DATABASE_ROLES",
        )
    if not may_be_set:
        options = " WITH INHERIT FALSE, SET TRUE" if right == "SET" else ""
        return MappedRole(
            role,
            f"{login_role} may not become {shown}",
            f"an administrator runs GRANT {quote_role(role)} TO {quote_role(str(login))}{options}",
        )
    risks = []
    if is_superuser:
        risks.append("it is a superuser: neither grants nor policies bind it")
    elif bypasses_policies:
        risks.append("it has BYPASSRLS: no policy binds it")
    if has_login_rights and not is_superuser:
        risks.append(f"it has the rights of {login_role}: it sees in pg_stat_activity what others run")
    return MappedRole(role, risks=tuple(risks))


def quote_role(name: str) -> str:
    """Return a role's name as SQL, always quoted."""
    return quote_always(escape_untrusted(name))

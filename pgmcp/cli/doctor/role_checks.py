"""Checks of the roles that callers are mapped to."""

from pgmcp.cli.doctor.check_context import CheckContext
from pgmcp.cli.doctor.report import CheckResult, Status, enumerate_some
from pgmcp.execution.mapped_roles import MappedRole
from pgmcp.pipeline import Database
from pgmcp.untrusted import escape_untrusted

_CAN_DO_LESS = "map callers to roles that can only read what their policies and grants let them"


async def check_mapped_roles(context: CheckContext, check: str) -> list[CheckResult]:
    """Take each role that a caller may get, and report what is wrong with it."""
    identities = context.database.identities
    if identities is None:
        return []
    results = []
    for role in await context.database.mapped_roles():
        name = f"{check}: {escape_untrusted(role.name)}"
        if role.problem:
            results.append(CheckResult(Status.FAIL, name, role.problem, role.hint))
        else:
            results.append(await _describe(context, name, role, identities.of_role(role.name)))
    default = context.settings.databases[context.database.name].default_role
    if default is None:
        text = "no default role: callers without a role in PG_MCP_DATABASE_ROLES are refused, also over stdio"
        results.append(CheckResult(Status.OK, check, text))
    return results


async def _describe(context: CheckContext, check: str, role: MappedRole, seen: Database) -> CheckResult:
    posture = await seen.role.posture()  # by taking the role
    risks = role.risks + tuple(risk for risk in posture.risks if not _is_told_by(risk, role.risks))
    if risks:
        is_required = context.settings.server.require_readonly_role and bool(posture.risks)
        status = Status.FAIL if is_required else Status.WARN
        return CheckResult(status, check, f"it can be taken, but {'; '.join(risks)}", _CAN_DO_LESS)
    tables = (await seen.schema.get()).tables
    text = f"it can be taken, can only read, and sees {len(tables)} table{'' if len(tables) == 1 else 's'}"
    filtered = sorted(table.name for table in tables if table.has_active_policies)
    if filtered:
        text += (
            f"; policies choose its rows of {enumerate_some([escape_untrusted(each) for each in filtered])}"
        )
    return CheckResult(Status.OK, check, text)


def _is_told_by(risk: str, risks: tuple[str, ...]) -> bool:
    """Return whether a risk begins like one of the others: "it has BYPASSRLS: …"."""
    return any(risk.partition(":")[0] == other.partition(":")[0] for other in risks)

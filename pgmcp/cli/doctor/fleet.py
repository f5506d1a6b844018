"""Checks of what the servers of a fleet share: whether Redis can be used, and with which keys."""

from typing import Final

from pgmcp.cli.doctor.report import CheckResult, Status
from pgmcp.settings import HttpSettings, RateLimitSettings

CHECK: Final = "fleet"


async def examine_fleet(limits: RateLimitSettings, http: HttpSettings) -> list[CheckResult]:
    """Write to the shared Redis and read from it, and say what is shared in it."""
    if limits.storage_url is None:
        return []
    from pgmcp.fleet.connection import try_redis

    tried = await try_redis(limits.storage_url.get_secret_value())
    if not tried.can_be_used:
        return [
            CheckResult(
                Status.FAIL,
                f"{CHECK}: rate limits",
                f"Redis cannot be used: {tried.text}",
                "check PG_MCP_RATE_LIMIT_STORAGE_URL; it must lead to a primary that accepts writes and "
                "scripts",
            )
        ]
    return [
        CheckResult(Status.OK, f"{CHECK}: rate limits", f"counted in {tried.text}; {_outage(limits)}"),
        _kept_results(http),
    ]


def _outage(limits: RateLimitSettings) -> str:
    if limits.on_outage == "refuse":
        return "calls are refused while it is away"
    return f"a server grants 1/{limits.servers} while it is away"


def _kept_results(http: HttpSettings) -> CheckResult:
    check = f"{CHECK}: kept results"
    if not http.state_key_list:
        return CheckResult(
            Status.WARN,
            check,
            "each server stores its own results: another server cannot return their next pages",
            "set PG_MCP_HTTP_STATE_KEYS to the same keys on every server",
        )
    return CheckResult(
        Status.OK, check, f"shared, encrypted with the first of {len(http.state_key_list)} configured keys"
    )

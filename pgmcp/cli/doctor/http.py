"""Checks of serving over HTTP: who may call, whether the issuer answers, and what several servers share."""

from typing import TYPE_CHECKING, Final

from pgmcp.cli.doctor.report import CheckResult, Status
from pgmcp.settings import HttpSettings, RateLimitSettings

if TYPE_CHECKING:
    from pgmcp.transport.http.authentication.fetching import Fetcher


CHECK: Final = "http"

_UNKNOWN_TOKEN: Final = "pgmcp-doctor-asks-about-this-token"  # noqa: S105 - no real token


async def examine_http(settings: HttpSettings) -> list[CheckResult]:
    """Ask the issuer for its keys, and the authorization server about an unknown token."""
    if not settings.authenticates:
        return []
    from pgmcp.transport.http.authentication.fetching import Fetcher

    results = []
    if settings.tokens:
        names = ", ".join(settings.token_hashes)
        results.append(CheckResult(Status.OK, f"{CHECK}: tokens", f"static tokens of {names}"))
    fetcher = Fetcher()
    try:
        if settings.issuer is not None:
            results.append(await _check_issuer(settings.issuer, settings.jwks_url, fetcher))
        if settings.introspection_url is not None:
            results.append(await _check_introspection(settings, settings.introspection_url, fetcher))
    finally:
        await fetcher.close()
    return results


async def _check_issuer(issuer: str, jwks_url: str | None, fetcher: "Fetcher") -> CheckResult:
    from pgmcp.transport.http.authentication.jwks import KEY_BY_ALGORITHM, can_verify
    from pgmcp.transport.http.authentication.jwt_tokens import IssuerKeys
    from pgmcp.transport.http.authentication.principal import IssuerUnavailableError

    check = f"{CHECK}: issuer"
    try:
        keys = (await IssuerKeys(fetcher, issuer, jwks_url).fetch()).get("keys")
    except IssuerUnavailableError as error:
        return CheckResult(Status.FAIL, check, str(error), "check PG_MCP_HTTP_ISSUER and _JWKS_URL")
    listed = [key for key in keys if isinstance(key, dict)] if isinstance(keys, list) else []
    usable = [key for key in listed if any(can_verify(key, each) for each in KEY_BY_ALGORITHM)]
    if not usable:
        return CheckResult(
            Status.FAIL,
            check,
            f"{issuer} publishes {len(listed)} keys, and none verifies signatures",
            "the issuer must sign access tokens with RS, PS, ES or EdDSA",
        )
    return CheckResult(Status.OK, check, f"{issuer} publishes {len(usable)} keys that verify signatures")


async def _check_introspection(settings: HttpSettings, url: str, fetcher: "Fetcher") -> CheckResult:
    from pgmcp.transport.http.authentication.principal import IssuerUnavailableError

    check = f"{CHECK}: introspection"
    secret = settings.introspection_client_secret
    client = (settings.introspection_client_id or "", secret.get_secret_value() if secret else "")
    try:
        answer = await fetcher.post(url, {"token": _UNKNOWN_TOKEN}, client)
    except IssuerUnavailableError as error:
        return CheckResult(
            Status.FAIL, check, str(error), "check PG_MCP_HTTP_INTROSPECTION_URL and _CLIENT_ID"
        )
    if answer.get("active") is not False:
        return CheckResult(
            Status.FAIL,
            check,
            f"{url} does not report an unknown token as inactive",
            "set PG_MCP_HTTP_INTROSPECTION_URL to the introspection endpoint of RFC 7662",
        )
    return CheckResult(
        Status.OK, check, f"{url} accepts pgmcp's client, and reports an unknown token as inactive"
    )


FLEET_CHECK: Final = "fleet"


async def examine_fleet(limits: RateLimitSettings, http: HttpSettings) -> list[CheckResult]:
    """Check that the shared Redis can be written and read, and report what servers share in it."""
    if limits.storage_url is None:
        return []
    from pgmcp.fleet.connection import try_redis

    tried = await try_redis(limits.storage_url.get_secret_value())
    if not tried.can_be_used:
        return [
            CheckResult(
                Status.FAIL,
                f"{FLEET_CHECK}: rate limits",
                f"Redis cannot be used: {tried.text}",
                "check PG_MCP_RATE_LIMIT_STORAGE_URL; it must lead to a primary that accepts writes and "
                "scripts",
            )
        ]
    return [
        CheckResult(Status.OK, f"{FLEET_CHECK}: rate limits", f"counted in {tried.text}; {_outage(limits)}"),
        _check_stored_results(http),
    ]


def _outage(limits: RateLimitSettings) -> str:
    if limits.on_outage == "refuse":
        return "while Redis cannot be used, every call is refused"
    return f"while Redis cannot be used, each server allows 1/{limits.servers} of the limits"


def _check_stored_results(http: HttpSettings) -> CheckResult:
    check = f"{FLEET_CHECK}: stored results"
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

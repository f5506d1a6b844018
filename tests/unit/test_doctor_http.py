"""What `pgmcp doctor` reports about serving over HTTP, with a real issuer on loopback."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import TypeAdapter

from pgmcp.cli.doctor.http import examine_http
from pgmcp.cli.doctor.report import Status
from pgmcp.settings import HttpSettings
from testing.issuer import CLIENT, RESOURCE, Issuer

pytestmark = pytest.mark.anyio


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as issuer:
        yield issuer


def settings(issuer: Issuer, **changes: Any) -> HttpSettings:
    given = {
        "public_url": RESOURCE,
        "tokens": f"robot={'0' * 64}",
        "issuer": issuer.url,
        "introspection_url": f"{issuer.url}/introspect",
        "introspection_client_id": CLIENT[0],
        "introspection_client_secret": CLIENT[1],
        **changes,
    }
    return TypeAdapter(HttpSettings).validate_python(given)


async def test_without_authentication_there_is_no_finding() -> None:
    assert await examine_http(HttpSettings()) == []


async def test_each_kind_of_authentication_is_checked(issuer: Issuer) -> None:
    results = await examine_http(settings(issuer))

    assert [(result.status, result.check) for result in results] == [
        (Status.OK, "http: tokens"),
        (Status.OK, "http: issuer"),
        (Status.OK, "http: introspection"),
    ]
    assert results[1].text == f"{issuer.url} publishes 1 keys that verify signatures"


async def test_an_unreachable_issuer_fails(issuer: Issuer) -> None:
    issuer.is_down = True

    results = await examine_http(settings(issuer))

    assert [result.status for result in results] == [Status.OK, Status.FAIL, Status.FAIL]
    assert "answered 503" in results[1].text


async def test_a_wrong_secret_fails_and_is_not_shown(issuer: Issuer) -> None:
    *_, result = await examine_http(settings(issuer, introspection_client_secret="Quagga-1"))

    assert result.status is Status.FAIL
    assert "answered 401" in result.text
    assert "Quagga" not in str(result)


async def test_an_issuer_without_usable_keys_fails(issuer: Issuer) -> None:
    issuer.keys = []

    results = await examine_http(settings(issuer))

    assert results[1].text == f"{issuer.url} publishes 0 keys, and none verifies signatures"

"""The issuer's keys over time: rotation, outage, invented key ids, with a controlled clock."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator

import anyio
import httpx2
import pytest
import trustme
from starlette.datastructures import Headers

from pgmcp.identity import Principal
from pgmcp.transport.http.authentication.fetching import TIMEOUT_S, Fetcher
from pgmcp.transport.http.authentication.gate import Gate, ProtectedResource
from pgmcp.transport.http.authentication.jwks import COOLDOWN_S, REFRESH_AFTER_S, KeySet
from pgmcp.transport.http.authentication.jwt_tokens import IssuerKeys, JwtTokens
from pgmcp.transport.http.authentication.principal import IssuerUnavailableError, TokenRefusedError
from pgmcp.transport.http.authentication.static_tokens import StaticTokens, digest_of, new_token
from testing.activity import until
from testing.issuer import RESOURCE, Issuer, SigningKey

pytestmark = pytest.mark.anyio

OUTAGE_S = 3600.0


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as issuer:
        yield issuer


class Verifier:
    """The verifier of an issuer's tokens, and its clock."""

    def __init__(self, issuer: Issuer, *, timeout_s: float = TIMEOUT_S) -> None:
        self.now_s = 0.0
        self._fetcher = Fetcher(timeout_s=timeout_s)
        source = IssuerKeys(self._fetcher, issuer.url, None)
        self.keys = KeySet(source.fetch, outage_s=OUTAGE_S, clock=lambda: self.now_s)
        self.tokens = JwtTokens(
            self.keys, issuer=issuer.url, audiences=[RESOURCE], types=["at+jwt"], name_claim="sub"
        )

    async def name_of(self, token: str) -> str:
        return (await self.tokens.verify(token)).name

    async def __aenter__(self) -> "Verifier":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.keys.close()
        await self._fetcher.close()


async def test_keys_are_found_by_the_issuers_metadata_and_fetched_once(issuer: Issuer) -> None:
    async with Verifier(issuer) as verifier:
        names = [await verifier.name_of(issuer.token(sub=name)) for name in ("alice", "bob")]

    assert names == ["alice", "bob"]
    assert issuer.requests["/keys"] == 1


async def test_a_new_key_is_found_once_the_cooldown_is_over(issuer: Issuer) -> None:
    async with Verifier(issuer) as verifier:
        await verifier.name_of(issuer.token())
        issuer.keys.append(SigningKey("ES256"))
        rotated = issuer.token(key=issuer.keys[1])
        with pytest.raises(TokenRefusedError):
            await verifier.name_of(rotated)
        verifier.now_s = COOLDOWN_S

        assert await verifier.name_of(rotated) == "alice"
        assert await verifier.name_of(issuer.token()) == "alice"


@pytest.mark.parametrize("key_id", ["old", None])
async def test_a_new_key_is_found_within_seconds_by_a_token_that_does_not_name_it(
    issuer: Issuer, key_id: str | None
) -> None:
    async with Verifier(issuer) as verifier:
        old = issuer.token()
        await verifier.name_of(old)
        new = SigningKey()
        new.id = issuer.keys[0].id
        issuer.keys = [new]
        rotated = issuer.token(headers={} if key_id else {"kid": None})
        verifier.now_s = COOLDOWN_S

        names = await asyncio.gather(*(verifier.name_of(rotated) for _ in range(5)))
        with pytest.raises(TokenRefusedError):
            await verifier.name_of(old)

    assert names == ["alice"] * 5
    assert issuer.requests["/keys"] == 2


async def test_wrong_signatures_cause_no_more_fetches_than_the_cooldown_allows(issuer: Issuer) -> None:
    async with Verifier(issuer) as verifier:
        await verifier.name_of(issuer.token())
        forged = issuer.token(key=SigningKey(), headers={"kid": issuer.keys[0].id})
        for verifier.now_s in (COOLDOWN_S, COOLDOWN_S + 1, COOLDOWN_S + 2):
            for _ in range(5):
                with pytest.raises(TokenRefusedError):
                    await verifier.name_of(forged)

    assert issuer.requests["/keys"] == 2


async def test_tokens_that_come_while_a_new_key_is_fetched_wait_for_it(issuer: Issuer) -> None:
    async with Verifier(issuer) as verifier:
        await verifier.name_of(issuer.token())
        issuer.keys.append(SigningKey("ES256"))
        rotated = issuer.token(key=issuer.keys[1])
        verifier.now_s = COOLDOWN_S

        names = await asyncio.gather(*(verifier.name_of(rotated) for _ in range(5)))

    assert names == ["alice"] * 5
    assert issuer.requests["/keys"] == 2


async def test_a_static_token_is_accepted_while_the_issuer_does_not_answer(issuer: Issuer) -> None:
    robot = new_token()
    issuer.answers.clear()
    async with Verifier(issuer, timeout_s=600) as verifier:
        static_tokens = StaticTokens({"robot": digest_of(robot)})
        gate = Gate(ProtectedResource(RESOURCE, (), frozenset()), static_tokens, verifier.tokens)

        async def name_of(token: str) -> str:
            admitted = await gate.admit(Headers({"authorization": f"Bearer {token}"}))
            assert isinstance(admitted, Principal)
            return admitted.name

        waiting = asyncio.create_task(name_of(issuer.token()))
        with anyio.fail_after(60):
            await asyncio.to_thread(until, lambda: issuer.requests.total() > 0, "the keys are requested")
            assert await name_of(robot) == "robot"
        assert not waiting.done()
        issuer.answers.set()

        assert await waiting == "alice"


class _Dripping(httpx2.AsyncBaseTransport):
    """Answers with a body that never ends; unlike a real transport, it has no timeout for one read."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        async def body() -> AsyncIterator[bytes]:
            yield b" "
            await asyncio.Event().wait()

        return httpx2.Response(200, content=body())


async def test_a_whole_answer_of_the_issuer_has_a_time_limit() -> None:
    fetcher = Fetcher(timeout_s=0.01, transport=_Dripping())
    with anyio.fail_after(10), pytest.raises(IssuerUnavailableError, match="no answer in time"):
        await fetcher.get("https://issuer.test/keys")
    await fetcher.close()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:1/keys", "no connection"),
        ("ftp://issuer.test/keys", "it is not an http or https URL"),
    ],
)
async def test_a_failed_request_has_a_reason_in_words(url: str, reason: str) -> None:
    fetcher = Fetcher()
    with pytest.raises(IssuerUnavailableError) as caught:
        await fetcher.get(url)
    await fetcher.close()

    assert str(caught.value) == f"{url} cannot be reached ({reason})"


async def test_an_untrusted_certificate_is_the_reason_of_a_failed_request() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    server = await asyncio.start_server(lambda *_: None, "localhost", 0, ssl=context)
    fetcher = Fetcher()
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(IssuerUnavailableError, match="its certificate is not trusted on this machine"):
            await fetcher.get(f"https://localhost:{port}/keys")
    await fetcher.close()


async def test_unknown_key_ids_cause_no_more_fetches_than_the_cooldown_allows(issuer: Issuer) -> None:
    async with Verifier(issuer) as verifier:
        await verifier.name_of(issuer.token())
        verifier.now_s = COOLDOWN_S
        for _ in range(20):
            with pytest.raises(TokenRefusedError):
                await verifier.name_of(issuer.token(headers={"kid": "invented"}))

    assert issuer.requests["/keys"] == 2


async def test_a_key_that_was_withdrawn_is_refused_after_the_refresh(issuer: Issuer) -> None:
    async with Verifier(issuer) as verifier:
        old = issuer.token()
        await verifier.name_of(old)
        issuer.keys = [SigningKey()]
        verifier.now_s = REFRESH_AFTER_S + 1
        await verifier.name_of(old)  # begins the refresh
        await verifier.keys._refresh()

        with pytest.raises(TokenRefusedError):
            await verifier.name_of(old)


async def test_known_keys_are_used_during_an_outage_for_the_configured_time(issuer: Issuer) -> None:
    async with Verifier(issuer) as verifier:
        token = issuer.token()
        await verifier.name_of(token)
        issuer.is_down = True
        verifier.now_s = OUTAGE_S
        assert await verifier.name_of(token) == "alice"
        verifier.now_s = OUTAGE_S + COOLDOWN_S
        with pytest.raises(IssuerUnavailableError):
            await verifier.name_of(token)
        issuer.is_down = False
        verifier.now_s += COOLDOWN_S

        assert await verifier.name_of(token) == "alice"


async def test_without_any_keys_the_issuer_is_reported_as_unavailable(issuer: Issuer) -> None:
    issuer.is_down = True
    async with Verifier(issuer) as verifier:
        with pytest.raises(IssuerUnavailableError):
            await verifier.name_of(issuer.token())


async def test_two_keys_with_one_id_are_both_tried(issuer: Issuer) -> None:
    second = SigningKey()
    second.id = issuer.keys[0].id
    issuer.keys.append(second)
    async with Verifier(issuer) as verifier:
        assert await verifier.name_of(issuer.token(key=second)) == "alice"


async def test_keys_for_other_uses_are_not_used(issuer: Issuer) -> None:
    class EncryptionKey(SigningKey):
        @property
        def public(self) -> dict[str, object]:
            return {**super().public, "use": "enc"}

    issuer.keys.append(EncryptionKey())
    async with Verifier(issuer) as verifier:
        with pytest.raises(TokenRefusedError):
            await verifier.name_of(issuer.token(key=issuer.keys[1]))

"""Sends requests to the issuer, with limits of time and size; redirects are not followed."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final

import httpx2

from pgmcp.transport.http.authentication.principal import IssuerUnavailableError

TIMEOUT_S: Final = 5.0
"""Timeout of each wait, in seconds; a whole answer may take twice as long."""

MAX_BYTES: Final = 1 << 20


class Fetcher:
    """Sends requests to the issuer.

    Args:
        timeout_s: timeout of each wait.
        transport: sends the requests; None for httpx2's own.
    """

    def __init__(
        self, *, timeout_s: float = TIMEOUT_S, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        self._timeout_s = timeout_s
        self._client = httpx2.AsyncClient(timeout=timeout_s, follow_redirects=False, transport=transport)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def get(self, url: str) -> dict[str, Any]:
        """Return a JSON object.

        Raises:
            IssuerUnavailableError: the request failed.
        """
        return await self._ask("GET", url)

    async def post(self, url: str, form: Mapping[str, str], auth: tuple[str, str]) -> dict[str, Any]:
        """Send a form, and return the JSON object that answers it.

        Raises:
            IssuerUnavailableError: the request failed.
        """
        return await self._ask("POST", url, data=dict(form), auth=auth)

    async def _ask(self, method: str, url: str, **options: Any) -> dict[str, Any]:
        body = b""
        try:
            async with (
                asyncio.timeout(2 * self._timeout_s),
                self._client.stream(
                    method, url, headers={"Accept": "application/json"}, **options
                ) as response,
            ):
                if response.status_code != httpx2.codes.OK:
                    raise IssuerUnavailableError(f"{url} answered {response.status_code}")
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > MAX_BYTES:
                        raise IssuerUnavailableError(f"{url} answered with more than {MAX_BYTES} bytes")
            content = json.loads(body)
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as error:
            raise IssuerUnavailableError(f"{url} cannot be reached ({_reason(error)})") from None
        except (ValueError, RecursionError):
            raise IssuerUnavailableError(f"{url} did not answer with JSON") from None
        if not isinstance(content, dict):
            raise IssuerUnavailableError(f"{url} did not answer with a JSON object")
        return content


def _reason(error: Exception) -> str:
    """Return why a request has no answer."""
    match error:
        case TimeoutError() | httpx2.TimeoutException():
            return "no answer in time"
        case httpx2.ConnectError() if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return "its certificate is not trusted on this machine"
        case httpx2.ConnectError():
            return "no connection"
        case httpx2.InvalidURL() | httpx2.UnsupportedProtocol():
            return "it is not an http or https URL"
        case _:
            return "the connection broke"

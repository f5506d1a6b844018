"""Translates errors of the SDK and of model endpoints into `ModelError`s with a hint."""

import math
import re
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit, urlunsplit

from pgmcp.errors import ModelAuthError, ModelError
from pgmcp.generation.completion import describe_failure, in_one_line

if TYPE_CHECKING:
    import openai

_CHECK_ADDRESS: Final = "check PG_MCP_OPENAI_BASE_URL, that the endpoint runs, and the proxy variables"

_REASON_BY_ERROR: Final[dict[type[BaseException], tuple[str, str]]] = {
    ConnectionRefusedError: ("no server listens on that host and port", _CHECK_ADDRESS),
    socket.gaierror: (
        "the host name could not be resolved",
        "check the host in PG_MCP_OPENAI_BASE_URL, the DNS and the proxy variables",
    ),
    ssl.SSLCertVerificationError: (
        "its certificate is not trusted on this machine",
        "SSL_CERT_FILE can name a file with the certificate of its CA, or of your network's proxy; or check "
        "PG_MCP_OPENAI_BASE_URL",
    ),
    ssl.SSLError: (
        "it does not speak TLS",
        "check PG_MCP_OPENAI_BASE_URL: it may need http:// instead of https://",
    ),
}

_NO_SUCH_PATH: Final = (
    "has no chat completions at this address",
    "check PG_MCP_OPENAI_BASE_URL, which usually ends in /v1, and PG_MCP_OPENAI_MODEL",
)
_FAILURE_BY_STATUS = {
    400: (
        "refused the request",
        "check PG_MCP_OPENAI_MODEL; this is also the answer to a prompt that is too long for the model",
    ),
    404: _NO_SUCH_PATH,
    405: _NO_SUCH_PATH,
    402: (
        "has no credit left for this account",
        "add credit to the account, or set PG_MCP_OPENAI_MODEL to a model that costs less",
    ),
    413: ("rejected the prompt as too long", "set PG_MCP_OPENAI_MODEL to a model with a longer context"),
    429: (
        "has reached its limit of requests, tokens or credit",
        "check the account's limits and billing; PG_MCP_OPENAI_MAX_RETRIES sets the number of retries",
    ),
}
_UNKNOWN_MODEL = (
    "knows no model {model!r}",
    "check PG_MCP_OPENAI_MODEL; endpoints list their models at /models below PG_MCP_OPENAI_BASE_URL",
)
_INVALID_KEY = re.compile(r"\bapi[ _]key[ _](?:is )?(?:not valid|invalid)", re.IGNORECASE)
_SERVER_FAILURE = ("failed", "try again; PG_MCP_OPENAI_MAX_RETRIES sets the number of automatic retries")
_OTHER_FAILURE = ("refused the request", "check PG_MCP_OPENAI_BASE_URL and PG_MCP_OPENAI_MODEL")


@dataclass(frozen=True, slots=True)
class ModelErrors:
    """Translates errors of one endpoint.

    Attributes:
        endpoint: host and port, for messages.
        model: the model's name at the endpoint.
        api_key: None if none is configured. It never appears in a message.
        timeout_s: timeout of one attempt.
    """

    endpoint: str
    model: str
    api_key: str | None = field(repr=False)
    timeout_s: float

    def too_slow(self, timeout_s: float) -> ModelError:
        """Return the error for an endpoint that did not answer in time."""
        return ModelError(
            f"the model endpoint {self.endpoint} gave no answer within {timeout_s:g} s",
            hint=f"try again; PG_MCP_OPENAI_TIMEOUT ({self.timeout_s:g} s) bounds one attempt",
        )

    def explain(self, error: "openai.OpenAIError") -> ModelError:
        """Return the error for what the SDK raised."""
        import openai

        # The SDK also raises APITimeoutError when the connection itself timed out.
        has_connected = "Connect" not in type(error.__cause__).__name__
        if isinstance(error, openai.APITimeoutError) and has_connected:
            return self.too_slow(self.timeout_s)
        if isinstance(error, openai.APIStatusError):
            return self._explain_status(error)
        reason, hint = explain_unreachable(error)
        message = f"the model endpoint {self.endpoint} cannot be reached"
        return ModelError(f"{message}: {reason}" if reason else message, hint=hint)

    def _explain_status(self, error: "openai.APIStatusError") -> ModelError:
        status = error.status_code
        if error.code == "content_filter" or _is_flagged(error):
            return ModelError(
                f"the content filter of {self.endpoint} blocked the prompt (HTTP {status})",
                hint="rephrase the question; values and comments of the schema are a part of the prompt, too",
            )
        detail = self._detail(error.body)
        # Gemini answers with status 400 to an invalid key.
        if status in (401, 403) or (status == 400 and _INVALID_KEY.search(detail)):
            return self._explain_auth(status)
        if status < 400:
            return self._explain_redirect(status, error.response.headers.get("location", ""))
        what, hint = _FAILURE_BY_STATUS.get(status, _SERVER_FAILURE if status >= 500 else _OTHER_FAILURE)
        # Not all servers give a code. All of them mention "model", unless the path is wrong.
        if status == 404 and "model" in f"{error.code} {detail}".lower():
            what, hint = _UNKNOWN_MODEL
        wait_s = retry_after_s(error.response.headers)
        if wait_s > 0:
            hint = f"try again in {wait_s:.0f} s; {hint}"
        message = f"the model endpoint {self.endpoint} {what.format(model=self.model)} (HTTP {status})"
        return ModelError(f"{message}: {detail}" if detail else message, hint=hint)

    def _explain_auth(self, status: int) -> ModelAuthError:
        # The endpoint's own text is left out, because OpenAI's text contains the ends of the key.
        if self.api_key is None:
            return ModelAuthError(
                f"the model endpoint {self.endpoint} requires a key (HTTP {status})",
                hint="set PG_MCP_OPENAI_API_KEY",
            )
        return ModelAuthError(
            f"the model endpoint {self.endpoint} refused the key (HTTP {status})",
            hint="check PG_MCP_OPENAI_API_KEY, and that it may use this endpoint and PG_MCP_OPENAI_MODEL",
        )

    def _explain_redirect(self, status: int, location: str) -> ModelError:
        target = urlsplit(location)
        place = urlunsplit((target.scheme, target.netloc.rpartition("@")[2], target.path, "", ""))
        return ModelError(
            f"the model endpoint {self.endpoint} redirects to {in_one_line(place) or 'no address'} "
            f"(HTTP {status})",
            hint="pgmcp follows no redirects, because another host would get the key and the prompt: check "
            "PG_MCP_OPENAI_BASE_URL, and set it to the new address if that is right",
        )

    def _detail(self, body: object) -> str:
        """Return the endpoint's own error text on one short line, without the key."""
        words = self.without_key(describe_failure(body))
        return "" if words.startswith("<") else words  # a page of HTML

    def without_key(self, text: str) -> str:
        """Return a text of the endpoint without the key."""
        return text.replace(self.api_key, "***") if self.api_key else text


def _is_flagged(error: "openai.APIStatusError") -> bool:
    """Return whether OpenRouter's moderation refused the prompt, with status 403."""
    metadata = error.body.get("metadata") if isinstance(error.body, dict) else None
    return error.status_code == 403 and isinstance(metadata, dict) and "flagged_input" in metadata


def explain_unreachable(error: BaseException) -> tuple[str, str]:
    """Return why an endpoint cannot be reached ("" if unknown), and a hint."""
    causes = list(_causes(error))
    for kind, explained in _REASON_BY_ERROR.items():
        if any(isinstance(cause, kind) for cause in causes):
            return explained
    return "", _CHECK_ADDRESS


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and its causes. Several addresses of one host fail as an exception group."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for each in error.exceptions:
                yield from _causes(each)
        error = error.__cause__ or error.__context__


def retry_after_s(headers: Mapping[str, str]) -> float:
    """Return how many seconds an endpoint asks to wait; 0 if it does not say so, or names a past date."""
    milliseconds, seconds = headers.get("retry-after-ms", ""), headers.get("retry-after", "")
    try:
        wait_s = float(milliseconds) / 1000 if milliseconds else float(seconds)
    except ValueError:
        wait_s = _seconds_until(seconds)
    return wait_s if 0 < wait_s < math.inf else 0.0


def _seconds_until(date: str) -> float:
    try:
        return parsedate_to_datetime(date).timestamp() - time.time()
    except (ValueError, OverflowError):
        return 0.0

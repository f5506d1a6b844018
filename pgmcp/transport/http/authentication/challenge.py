"""Answers to refused clients, and the metadata that says where to get a token (RFC 6750, RFC 9728)."""

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.responses import Response

from pgmcp.transport.http.responses import json_reply, refusal

METADATA_PATH: Final = "/.well-known/oauth-protected-resource"


@dataclass(frozen=True, slots=True)
class ProtectedResource:
    """This server as an OAuth protected resource.

    Attributes:
        url: the resource's identifier, which is its public URL; "" if clients cannot ask for tokens.
        authorization_servers: those that give tokens to clients; () if the settings do not name one.
        scopes: required of every token.
    """

    url: str = ""
    authorization_servers: tuple[str, ...] = ()
    scopes: frozenset[str] = frozenset()

    @property
    def has_metadata(self) -> bool:
        """Whether the metadata has useful content."""
        return bool(self.url)

    def serves_metadata_at(self, path: str) -> bool:
        """Return whether a path is the well-known one, alone or followed by the resource's path."""
        own = f"{METADATA_PATH}{urlsplit(self.url).path}"
        return self.has_metadata and path.rstrip("/") in (METADATA_PATH, own.rstrip("/"))

    def metadata(self) -> Response:
        """Return the protected-resource metadata."""
        content: dict[str, Any] = {
            "resource": self.url,
            "resource_name": "pgmcp",
            "bearer_methods_supported": ["header"],
        }
        if self.authorization_servers:
            content["authorization_servers"] = list(self.authorization_servers)
        if self.scopes:
            content["scopes_supported"] = sorted(self.scopes)
        return json_reply(content)

    def ask_for_token(self) -> Response:
        """Return 401 for a request without a token."""
        return self._refuse(401, "a bearer token is needed")

    def refuse_token(self, reason: str) -> Response:
        """Return 401 for an invalid token."""
        return self._refuse(401, reason, error="invalid_token")

    def refuse_scopes(self) -> Response:
        """Return 403 for a token without a required scope."""
        return self._refuse(403, "the token lacks a scope", error="insufficient_scope")

    def _refuse(self, status: int, reason: str, *, error: str = "") -> Response:
        parts = []
        if error:  # without a token, there is no error parameter (RFC 6750, section 3.1)
            parts += [("error", error), ("error_description", reason)]
        if self.scopes:
            parts.append(("scope", " ".join(sorted(self.scopes))))
        if self.has_metadata:
            where = urlsplit(self.url)
            url = f"{where.scheme}://{where.netloc}{METADATA_PATH}{where.path.rstrip('/')}"
            parts.append(("resource_metadata", url))
        listed = ", ".join(f'{name}="{_quotable(text)}"' for name, text in parts)
        return refusal(status, reason, headers={"WWW-Authenticate": f"Bearer {listed}".strip()})


def _quotable(text: str) -> str:
    """Return the text with only characters that RFC 6750, section 3, allows between quotes."""
    return text.encode("ascii", "replace").decode().replace("\\", "").replace('"', "'")

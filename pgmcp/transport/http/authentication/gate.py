"""Checks the Authorization header of a request.

The refusal says where to get a token, in WWW-Authenticate (RFC 6750) and in the protected-resource metadata
(RFC 9728).
"""

import logging
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import Response

from pgmcp.identity import Principal
from pgmcp.transport.http.authentication.introspection import Introspection
from pgmcp.transport.http.authentication.jwt_tokens import JwtTokens, looks_like_jwt
from pgmcp.transport.http.authentication.principal import (
    MAX_TOKEN_CHARACTERS,
    IssuerUnavailableError,
    TokenRefusedError,
)
from pgmcp.transport.http.authentication.static_tokens import StaticTokens
from pgmcp.transport.http.responses import SERVER_ERROR, json_reply, refusal

METADATA_PATH: Final = "/.well-known/oauth-protected-resource"


@dataclass(frozen=True, slots=True)
class ProtectedResource:
    """This server as an OAuth protected resource.

    Attributes:
        url: the resource's identifier, which is its public URL; "" if clients cannot ask for tokens.
        authorization_servers: URLs of the servers that give tokens to clients; () if the settings name none.
        scopes: scopes that every token must have.
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


logger = logging.getLogger(__name__)

_RETRY_AFTER_S = 5


class Gate:
    """Authenticates callers. Each of the three kinds of token is optional."""

    def __init__(
        self,
        resource: ProtectedResource,
        static_tokens: StaticTokens | None = None,
        jwt_tokens: JwtTokens | None = None,
        introspection: Introspection | None = None,
    ) -> None:
        self.resource = resource
        self._static_tokens = static_tokens
        self._jwt_tokens = jwt_tokens
        self._introspection = introspection

    async def admit(self, headers: Headers, client: str = "an unknown address") -> Principal | Response:
        """Return the principal, or the answer that refuses the request.

        Args:
            client: the client's address, for the log.
        """
        try:
            token = _bearer_token(headers)
            if token is None:
                return self.resource.ask_for_token()
            principal = await self._identify(token)
        except TokenRefusedError as error:
            logger.info("a token from %s was refused: %s", client, error)
            return self.resource.refuse_token(str(error))
        except IssuerUnavailableError as error:
            logger.warning("a token cannot be verified: %s", error)
            return refusal(
                503,
                "tokens cannot be verified now: the authorization server gives no usable answer",
                code=SERVER_ERROR,
                headers={"Retry-After": str(_RETRY_AFTER_S)},
            )
        if principal.lacks(self.resource.scopes):
            logger.info("a token from %s is refused: it lacks a scope", client)
            return self.resource.refuse_scopes()
        return principal

    async def _identify(self, token: str) -> Principal:
        principal = self._static_tokens.find(token) if self._static_tokens else None
        if principal is not None:
            return principal
        if self._jwt_tokens is not None and looks_like_jwt(token):
            return await self._jwt_tokens.verify(token)
        if self._introspection is not None:
            return await self._introspection.verify(token)
        raise TokenRefusedError("the token is not known")


def _bearer_token(headers: Headers) -> str | None:
    """Return the token; None if there is no Authorization header.

    Raises:
        TokenRefusedError: the header is not a bearer token, or there are several.
    """
    match headers.getlist("authorization"):
        case []:
            return None
        case [text]:
            scheme, _, token = text.partition(" ")
            token = token.strip()
            if (
                scheme.lower() == "bearer"
                and token
                and len(token) <= MAX_TOKEN_CHARACTERS
                and token.isascii()
            ):
                return token
            raise TokenRefusedError("the Authorization header has no bearer token")
        case _:
            raise TokenRefusedError("there is more than one Authorization header")

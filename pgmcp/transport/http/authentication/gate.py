"""Checks the Authorization header of a request."""

import logging

from starlette.datastructures import Headers
from starlette.responses import Response

from pgmcp.identity import Principal
from pgmcp.transport.http.authentication.challenge import ProtectedResource
from pgmcp.transport.http.authentication.introspection import Introspection
from pgmcp.transport.http.authentication.jwt_tokens import JwtTokens, looks_like_jwt
from pgmcp.transport.http.authentication.principal import (
    MAX_TOKEN_CHARACTERS,
    IssuerUnavailableError,
    TokenRefusedError,
)
from pgmcp.transport.http.authentication.static_tokens import StaticTokens
from pgmcp.transport.http.responses import SERVER_ERROR, refusal

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
            client: the address, for the log.
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
                "tokens cannot be verified now: the authorization server does not answer",
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

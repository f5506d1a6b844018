"""Finds the role and the settings that an authenticated caller (principal) has in one database.

    roles            alice=shop_alice, groups:support=shop_support     the first entry that matches
    default role     shop_guest                                        for all others
    claim settings   app.tenant=tenant                                 row policies can read them

The operator configures all three.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from pgmcp.errors import UnmappedPrincipalError
from pgmcp.execution.result import Identity
from pgmcp.untrusted import escape_untrusted, shorten


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller.

    Attributes:
        name: the name for logs and for the mapping to roles. Two callers may have the same name, if the
            operator takes it from a claim that is not unique.
        scopes: the token's scopes; None for a static token, which has every scope.
        claims: the issuer's claims about the principal.
        issuer: the issuer of the token; "" for a static token.
        subject: the caller's id, unique within the issuer; the name if the token has no `sub`; "" for a
            static token, whose name is unique.
    """

    name: str
    scopes: frozenset[str] | None = None
    claims: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    issuer: str = ""
    subject: str = ""

    @property
    def id(self) -> str:
        """A unique id of the caller, to which budgets and stored results belong."""
        return json.dumps([self.issuer, self.subject or self.name])

    def lacks(self, required: frozenset[str]) -> bool:
        """Return whether a required scope is missing."""
        return self.scopes is not None and not required <= self.scopes

    def claim(self, name: str) -> Any:
        """Return the value of a claim; None if there is none.

        Args:
            name: the name of the claim, or a path into it, for example "realm_access.roles".
        """
        if name in self.claims:
            return self.claims[name]
        value: Any = self.claims
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        return value


MAX_CLAIM_BYTES: Final = 8_192
"""Maximum size of one claim that is passed to a database."""

_MAX_NAME_CHARACTERS: Final = 100
_SCOPE_CLAIMS: Final = ("scope", "scp")
"""Claims whose text is a list, separated by blanks (RFC 8693, section 4.2)."""


class RoleEntry(NamedTuple):
    """One entry of the setting `roles`.

    Attributes:
        claim: the claim to compare; "" for the principal's name.
        value: the value to find: the whole claim, an element of a list, or a word of `scope` or `scp`.
        role: the role of a principal who matches.
    """

    claim: str
    value: str
    role: str


class RoleMapping:
    """Maps callers to roles and settings of one database.

    Args:
        database: the name of the database in the settings, for messages.
        entries: the entries of the setting `roles`; the first that matches applies.
        default_role: the role of callers whom no entry matches, and of those without a principal; None
            refuses them.
        claim_settings: pairs of a database setting, and the claim whose value it gets.
    """

    def __init__(
        self,
        database: str,
        entries: Sequence[RoleEntry],
        *,
        default_role: str | None,
        claim_settings: Sequence[tuple[str, str]],
    ) -> None:
        self._database = database
        self._entries = tuple(entries)
        self._default_role = default_role
        self._claim_settings = tuple(claim_settings)

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles that callers can get, the default one first."""
        default = () if self._default_role is None else (self._default_role,)
        return tuple(dict.fromkeys((*default, *(entry.role for entry in self._entries))))

    def identify(self, principal: Principal | None) -> Identity:
        """Return the role and the settings of a caller.

        Raises:
            UnmappedPrincipalError: no entry matches and there is no default role, or a claim cannot be
                passed on.
        """
        role = self.role_of(principal)
        settings = tuple((name, self._text(principal, claim)) for name, claim in self._claim_settings)
        return Identity(role, settings)

    def role_of(self, principal: Principal | None) -> str:
        """Return the role of a caller.

        Raises:
            UnmappedPrincipalError: no entry matches, and there is no default role.
        """
        entries = self._entries if principal is not None else ()
        role = next((entry.role for entry in entries if _matches(entry, principal)), self._default_role)
        if role is None:
            raise UnmappedPrincipalError(
                f"{_describe(principal)} has no role in the database {self._database!r}",
                hint="have an operator add one to PG_MCP_DATABASE_ROLES, or set PG_MCP_DATABASE_DEFAULT_ROLE",
            )
        return role

    def example(self) -> Principal | None:
        """Return a caller who has a role, for checks; None if callers without a token have a role."""
        if self._default_role is not None or not self._entries:
            return None
        first = self._entries[0]
        if not first.claim:
            return Principal(first.value)
        return Principal("example", claims={first.claim: first.value})

    def identity_of(self, role: str) -> Identity:
        """Return a role with empty claims, for everything that all callers with the role share."""
        return Identity(role, tuple((name, "") for name, _ in self._claim_settings))

    def _text(self, principal: Principal | None, claim: str) -> str:
        text = _text_of(principal.claim(claim)) if principal is not None else ""
        if not _can_be_passed(text):
            raise UnmappedPrincipalError(
                f"the claim {claim!r} of {_describe(principal)} cannot be passed to the database "
                f"{self._database!r}",
                hint=f"it may have {MAX_CLAIM_BYTES} bytes of text at most, without the character U+0000",
            )
        return text


def _matches(entry: RoleEntry, principal: Principal | None) -> bool:
    if principal is None:
        return False
    if not entry.claim:
        return entry.value == principal.name
    value = principal.claim(entry.claim)
    if isinstance(value, str) and entry.claim in _SCOPE_CLAIMS:
        return entry.value in value.split()
    if isinstance(value, list):
        return any(_is_scalar(each) and _text_of(each) == entry.value for each in value)
    return _is_scalar(value) and _text_of(value) == entry.value


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | int | float)


def _text_of(value: Any) -> str:
    """Return a claim's value as text: a text as it is, JSON for anything else, "" for an absent one."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _can_be_passed(text: str) -> bool:
    try:
        return "\0" not in text and len(text.encode()) <= MAX_CLAIM_BYTES
    except UnicodeEncodeError:  # half of a surrogate pair
        return False


def _describe(principal: Principal | None) -> str:
    if principal is None:
        return "a caller without a token"
    return f"the principal {escape_untrusted(shorten(principal.name, _MAX_NAME_CHARACTERS))!r}"

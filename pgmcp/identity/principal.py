"""An authenticated caller."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller.

    Attributes:
        name: used in logs and to map roles; two callers may have the same name, if the operator takes it from
            a claim that is not unique.
        scopes: the token's scopes; None for a static token, which allows everything.
        claims: the issuer's claims about the principal.
        issuer: the issuer of the token; "" for a static token.
        subject: unique within the issuer; "" if the name is.
    """

    name: str
    scopes: frozenset[str] | None = None
    claims: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    issuer: str = ""
    subject: str = ""

    @property
    def id(self) -> str:
        """A unique id of the caller, which owns budgets and stored results."""
        return json.dumps([self.issuer, self.subject or self.name])

    def lacks(self, required: frozenset[str]) -> bool:
        """Return whether a required scope is missing."""
        return self.scopes is not None and not required <= self.scopes

    def claim(self, name: str) -> Any:
        """Return the value of a claim; None if there is none.

        Args:
            name: of the claim, or a path into it: "realm_access.roles".
        """
        if name in self.claims:
            return self.claims[name]
        value: Any = self.claims
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        return value

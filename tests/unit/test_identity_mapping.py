"""Which role and which settings a principal gets."""

from typing import Any

import pytest

from pgmcp.errors import UnmappedPrincipalError
from pgmcp.execution.result import Identity
from pgmcp.identity import Principal, RoleEntry, RoleMapping

ENTRIES = [
    RoleEntry("", "alice", "of_alice"),
    RoleEntry("groups", "admins", "of_admins"),
    RoleEntry("groups", "7", "of_seven"),
    RoleEntry("realm_access.roles", "support", "of_support"),
    RoleEntry("https://example.com/role", "guest", "of_guests"),
    RoleEntry("scope", "sql:read", "of_readers"),
    RoleEntry("is_staff", "true", "of_staff"),
]


def mapping(default_role: str | None = None, **settings: str) -> RoleMapping:
    pairs = [(name.replace("__", "."), claim) for name, claim in settings.items()]
    return RoleMapping("shop", ENTRIES, default_role=default_role, claim_settings=pairs)


@pytest.mark.parametrize(
    ("name", "claims", "role"),
    [
        ("alice", {}, "of_alice"),
        ("alice", {"groups": ["admins"]}, "of_alice"),
        ("zoe", {"groups": ["staff", "admins"]}, "of_admins"),
        ("zoe", {"groups": "admins"}, "of_admins"),
        ("zoe", {"groups": [7]}, "of_seven"),
        ("zoe", {"realm_access": {"roles": ["support"]}}, "of_support"),
        ("zoe", {"realm_access.roles": "support"}, "of_support"),
        ("zoe", {"https://example.com/role": "guest"}, "of_guests"),
        ("zoe", {"scope": "openid sql:read"}, "of_readers"),
        ("zoe", {"is_staff": True}, "of_staff"),
    ],
)
def test_the_first_entry_that_matches_decides(name: str, claims: dict[str, Any], role: str) -> None:
    assert mapping("of_others").identify(Principal(name, claims=claims)).role == role


@pytest.mark.parametrize(
    ("name", "claims"),
    [
        ("Alice", {}),
        ("of_alice", {}),
        ("groups:admins", {}),
        ("zoe", {"groups": "staff admins"}),
        ("zoe", {"groups": {"admins": True}}),
        ("zoe", {"groups": [["admins"]]}),
        ("zoe", {"groups": None}),
        ("zoe", {"realm_access": "support"}),
        ("zoe", {"scope": "sql:readers"}),
        ("zoe", {"name": "alice", "sub": "alice"}),
    ],
)
def test_a_principal_without_an_entry_gets_the_default_role_or_none(
    name: str, claims: dict[str, Any]
) -> None:
    principal = Principal(name, claims=claims)

    assert mapping("of_others").identify(principal).role == "of_others"
    with pytest.raises(UnmappedPrincipalError, match=f"{name}.* has no role in the database 'shop'"):
        mapping().identify(principal)


def test_a_caller_without_a_principal_gets_only_the_default_role() -> None:
    assert mapping("of_others", app__tenant="tenant").identify(None) == Identity(
        "of_others", (("app.tenant", ""),)
    )
    with pytest.raises(UnmappedPrincipalError, match="a caller without a token has no role"):
        mapping().identify(None)


@pytest.mark.parametrize(
    ("claim", "text"),
    [
        ("a'b", "a'b"),
        (7, "7"),
        (True, "true"),
        (None, ""),
        (["a", "ü"], '["a","ü"]'),
        ({"a": 1}, '{"a":1}'),
    ],
)
def test_a_claim_becomes_text_for_policies(claim: object, text: str) -> None:
    found = mapping("of_others", app__tenant="tenant").identify(Principal("zoe", claims={"tenant": claim}))

    assert found.settings == (("app.tenant", text),)


@pytest.mark.parametrize("claim", ["a\0b", "\ud800", "x" * 8_193, ["x" * 8_193]])
def test_a_claim_that_cannot_be_passed_on_is_refused(claim: object) -> None:
    with pytest.raises(UnmappedPrincipalError, match="the claim 'tenant' of the principal 'zoe'"):
        mapping("of_others", app__tenant="tenant").identify(Principal("zoe", claims={"tenant": claim}))


def test_the_identity_for_catalog_reads_of_a_role_has_no_claims() -> None:
    assert mapping(app__tenant="tenant").identity_of("of_staff") == Identity(
        "of_staff", (("app.tenant", ""),)
    )


def test_the_example_principal_has_a_role() -> None:
    for entries in ([entry] for entry in ENTRIES):
        found = RoleMapping("shop", entries, default_role=None, claim_settings=())
        assert found.identify(found.example()).role == entries[0].role

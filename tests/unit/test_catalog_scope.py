import pytest

from pgmcp.catalog.scope import CatalogScope, looks_sensitive


def test_every_schema_is_included_unless_some_are_named() -> None:
    assert CatalogScope().includes("anything")
    assert CatalogScope(include_schemas=("public", "sales_*")).includes("Sales_2026")
    assert not CatalogScope(include_schemas=("public",)).includes("staging")


def test_exclusion_wins_over_inclusion() -> None:
    scope = CatalogScope(include_schemas=("sales_*",), exclude_schemas=("*_tmp",))

    assert scope.includes("sales_eu")
    assert not scope.includes("sales_tmp")


@pytest.mark.parametrize(
    "pattern",
    ["note", "NOTE", "no*", "tickets.note", "*.note", "tickets.*", "public.tickets.note", "*.*.n?te"],
)
def test_a_column_is_hidden_by_its_name_its_table_and_its_schema(pattern: str) -> None:
    scope = CatalogScope(hidden_values=(pattern,))

    assert not scope.shows_values("public", "tickets", "note")
    assert scope.shows_values("sales", "orders", "status")


@pytest.mark.parametrize("pattern", ["tickets", "tickets.status", "sales.tickets.note", "public.note"])
def test_a_pattern_that_does_not_match_hides_nothing(pattern: str) -> None:
    assert CatalogScope(hidden_values=(pattern,)).shows_values("public", "tickets", "note")


def test_a_sensitive_name_is_hidden_without_a_pattern() -> None:
    assert not CatalogScope().shows_values("public", "customers", "email")


def test_no_value_is_shown_if_values_are_switched_off() -> None:
    assert not CatalogScope(with_values=False).shows_values("public", "tickets", "status")


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "passwd_hash",
        "userPwd",
        "api_key",
        "apiKey",
        "access_token",
        "client_secret",
        "ssn",
        "email",
        "sbcustemail",
        "e_mail",
        "phone_number",
        "iban",
        "card_number",
        "creditcard",
        "CVV",
        "date_of_birth",
        "first_name",
        "sbCustName",
        "patient_name",
        "lastName",
        "home_address",
        "pin",
        "zip_code",
    ],
)
def test_names_of_secrets_and_personal_data_look_sensitive(name: str) -> None:
    assert looks_sensitive(name)


@pytest.mark.parametrize(
    "name",
    [
        "status",
        "country",
        "publisher_name",
        "name",
        "payment_method",
        "shipping_class",
        "category",
        "process",
        "opinion",
        "car_description",
    ],
)
def test_ordinary_names_do_not_look_sensitive(name: str) -> None:
    assert not looks_sensitive(name)

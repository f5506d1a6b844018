import pytest

from pgmcp.catalog.sensitive import looks_sensitive


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
        "payment_method",
        "shipping_class",
        "category",
        "process",
        "opinion",
        "car_description",
    ],
)
def test_ordinary_names_do_not(name: str) -> None:
    assert not looks_sensitive(name)

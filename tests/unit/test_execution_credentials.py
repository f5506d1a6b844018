import asyncio

import pytest

from pgmcp.execution.credentials import EXPIRY_MARGIN_S, Login, RotatingPassword, read_login

pytestmark = pytest.mark.anyio


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


class Issuer:
    """Returns "password 1", then "password 2", and so on."""

    def __init__(self, *, expires_at_s: float | None = None) -> None:
        self.count = 0
        self._expires_at_s = expires_at_s

    async def __call__(self) -> Login:
        self.count += 1
        number = self.count
        await asyncio.sleep(0)
        return Login(f"password {number}", expires_at_s=self._expires_at_s)


async def test_a_password_is_used_until_its_lifetime_is_over() -> None:
    clock, issuer = Clock(), Issuer()
    password = RotatingPassword(issuer, lifetime_s=60, clock=clock)

    logins = [await password.get(), await password.get()]
    clock.now_s += 60
    logins.append(await password.get())

    assert [login.password for login in logins] == ["password 1", "password 1", "password 2"]


async def test_the_expiry_that_the_command_prints_replaces_the_lifetime() -> None:
    clock = Clock()
    issuer = Issuer(expires_at_s=clock.now_s + 900)
    password = RotatingPassword(issuer, lifetime_s=60, clock=clock)

    await password.get()
    clock.now_s += 900 - EXPIRY_MARGIN_S - 1
    await password.get()
    asked_in_time = issuer.count
    clock.now_s += 1
    await password.get()

    assert (asked_in_time, issuer.count) == (1, 2)


async def test_after_several_refused_connections_the_password_is_asked_for_once() -> None:
    issuer = Issuer()
    password = RotatingPassword(issuer, lifetime_s=60)
    old = await password.get()

    async def connect() -> Login:
        password.refuse(old)
        return await password.get()

    logins = await asyncio.gather(*(connect() for _ in range(5)))

    assert {login.password for login in logins} == {"password 2"}


async def test_with_a_lifetime_of_zero_only_concurrent_connections_share_a_password() -> None:
    issuer = Issuer()
    password = RotatingPassword(issuer, lifetime_s=0)

    await asyncio.gather(password.get(), password.get())
    await password.get()

    assert issuer.count == 2


async def test_a_cancelled_caller_does_not_stop_the_password_command_for_others() -> None:
    password = RotatingPassword(Issuer(), lifetime_s=60)
    leaving, staying = asyncio.create_task(password.get()), asyncio.create_task(password.get())
    await asyncio.sleep(0)

    leaving.cancel()

    assert (await staying).password == "password 1"


@pytest.mark.parametrize(
    ("output", "login"),
    [
        (b"p$4 #x\n", Login("p$4 #x")),
        (b" a b \r\n", Login(" a b ")),
        (b"{not json\n", Login("{not json")),
        (b"\xef\xbb\xbfp\r\n", Login("p")),
        (b'\xef\xbb\xbf{"password": "p"}', Login("p")),
        (b'{"password": "\\ud83d\\ude00"}', Login("\U0001f600")),
        (b'{"password": "p", "other": 1}', Login("p")),
        (b'{"password": "p", "user": "u", "expires": 1750000000}', Login("p", "u", 1_750_000_000.0)),
        (b'{"password": "p", "expires": "1750000000"}', Login("p", None, 1_750_000_000.0)),
        (b'{"password": "p", "expires": "2025-06-15T15:06:40Z"}', Login("p", None, 1_750_000_000.0)),
        (b'{"password": "p", "expires": "2025-06-15T17:06:40+02:00"}', Login("p", None, 1_750_000_000.0)),
    ],
)
def test_a_command_prints_a_password_or_json_with_one(output: bytes, login: Login) -> None:
    assert read_login(output) == login


@pytest.mark.parametrize(
    ("output", "problem"),
    [
        (b"", "printed nothing"),
        (b"\n", "printed nothing"),
        (b"\xff", "not UTF-8"),
        (b"s3cret\ns3cret", "several lines"),
        (b"s3cret\rs3cret", "several lines"),
        (b"s3cret\0s3cret", "a zero byte"),
        (b'{"password": "s3cret\\u0000"}', "a zero byte or half of a surrogate pair"),
        (b'{"password": "s3cret\\ud83d"}', "a zero byte or half of a surrogate pair"),
        (b'{"password": "s3cret", "user": "\\ud83d"}', "a zero byte or half of a surrogate pair"),
        (b"x" * 100_000, "more than 64 KB"),
        (b'{"secret": "s3cret"}', "without a string 'password'"),
        (b'{"password": 1}', "without a string 'password'"),
        (b'{"password": "s3cret", "user": 1}', "'user' is not a string"),
        (b'{"password": "s3cret", "expires": "2025-06-15 15:06"}', "with a time zone"),
        (b'{"password": "s3cret", "expires": true}', "with a time zone"),
    ],
)
def test_an_output_without_a_password_is_described_and_not_repeated(output: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as raised:
        read_login(output)

    assert "s3cret" not in str(raised.value)

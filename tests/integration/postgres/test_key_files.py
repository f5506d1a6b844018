"""The messages about files of client certificates and keys that libpq does not accept."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from pgmcp.errors import UnreachableError
from pgmcp.execution.supervisor import Supervisor
from testing.command_line import run_in_terminal
from testing.mcp_server import server_environment
from testing.statement_run import value
from testing.tls_postgres import TlsPostgres

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(os.name == "nt", reason="Windows has no modes of files"),
]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with a certificate and its key, and with files that cannot be used."""
    issued = trustme.CA().issue_cert("reader@example.com")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    for name in ("key.pem", "open.pem"):
        issued.private_key_pem.write_to_path(tmp_path / name)
    trustme.CA().issue_cert("other@example.com").private_key_pem.write_to_path(tmp_path / "other.pem")
    (tmp_path / "text.pem").write_text("no key\n")
    (tmp_path / "folder.pem").mkdir()
    key = serialization.load_pem_private_key(issued.private_key_pem.bytes(), password=None)
    (tmp_path / "locked.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"word"),
        )
    )
    for file in tmp_path.glob("*.pem"):
        file.chmod(0o644 if file.name == "open.pem" else 0o700 if file.is_dir() else 0o600)
    return tmp_path


async def ask(
    supervise: Callable[..., Supervisor], server: TlsPostgres, files: Path, cert: str, key: str, **more: str
) -> object:
    named = {"sslcert": str(files / cert), "sslkey": str(files / key)}
    return await value(supervise(server.url(sslmode="require", **named, **more)), "select 1")


@pytest.mark.parametrize(
    ("cert", "key", "hint"),
    [
        ("cert.pem", "open.pem", "run chmod 600"),
        ("cert.pem", "missing.pem", "set sslkey to the file of the key"),
        ("cert.pem", "folder.pem", "set sslkey to the file of the key"),
        ("cert.pem", "text.pem", "has no key in PEM format"),
        ("cert.pem", "locked.pem", "which needs sslpassword"),
        ("cert.pem", "other.pem", "one certificate and its key"),
        ("text.pem", "key.pem", "set sslcert to a PEM file"),
    ],
)
async def test_the_error_names_the_file_that_libpq_refuses_and_the_solution(
    supervise: Callable[..., Supervisor], tls_server: TlsPostgres, files: Path, cert: str, key: str, hint: str
) -> None:
    with pytest.raises(UnreachableError) as refused:
        await ask(supervise, tls_server, files, cert, key)

    wrong = cert if cert != "cert.pem" else key
    assert str(files / wrong) in str(refused.value)
    assert hint in refused.value.hint


async def test_a_key_with_a_pass_phrase_works_with_its_password(
    supervise: Callable[..., Supervisor], tls_server: TlsPostgres, files: Path
) -> None:
    assert await ask(supervise, tls_server, files, "cert.pem", "locked.pem", sslpassword="word") == 1


async def test_a_command_does_not_ask_for_the_pass_phrase_of_a_key(
    tls_server: TlsPostgres, files: Path, tmp_path: Path
) -> None:
    named = {"sslcert": str(files / "cert.pem"), "sslkey": str(files / "locked.pem")}
    url = tls_server.url(sslmode="require", **named)

    code, shown = run_in_terminal(server_environment(url), tmp_path, "sql", "select 1")

    assert code == 1
    assert "pass phrase:" not in shown
    assert "which needs sslpassword" in " ".join(shown.split())

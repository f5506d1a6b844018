"""Types of settings and the allowed forms of their values, except numbers and their ranges."""

import os
import re
import shlex
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pgmcp.secret_file import read_secret_file
from pgmcp.settings import conninfo
from pgmcp.settings.section import Check, Convert, Secret

_FUNCTION_NAME = re.compile(r"[^\W\d][\w$]*(?:\*|\.(?:[^\W\d][\w$]*\*?|\*))?|extension:[\w-]+")
_HTTP_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::\d{1,5})?")
_TOKEN_HASH = re.compile(r"([\w.@-]{1,200})=([0-9a-f]{64})")
_STATE_KEY = re.compile(r"[\w+/=.-]{32,}")
_SHELL_SYNTAX = frozenset({"|", "||", "&&", "&", ";", ">", ">>", "<", "2>", "2>&1"})
# A claim with a namespace is a URL: https://example.com/tenant.
_ROLE_ENTRY = re.compile(r"(?:(?P<claim>https?://[^:=]+|[^:=]+):)?(?P<value>.+)=(?P<role>[^=]+)")
_CLAIM_SETTING = re.compile(r"(?!(?i:pgmcp)\.)[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
_MAX_ROLE_BYTES = 63
_SSH_DESTINATION = re.compile(r"(?:ssh://)?[^\s,'\"-][^\s,'\"]{0,254}")
_HTTP_ORIGIN = re.compile(rf"https?://{_HTTP_HOST.pattern}")


def _check_url(url: Secret) -> Secret:
    conninfo.normalize(url.get_secret_value())
    return url


def _check_host(host: str) -> str:
    if re.search(r"://|[\s=@]", host):
        raise ValueError(
            "expected a host name, an address or a socket folder; for a URL use PG_MCP_DATABASE_URL"
        )
    return host


def _check_base_url(base_url: str) -> str:
    if not re.match(r"https?://[^/\s]+", base_url):
        raise ValueError("expected http://host:port/v1 or https://host/v1")
    return base_url


def _find_file(path: Path) -> Path:
    try:
        path = path.expanduser().absolute()
        is_file = path.is_file()
    except (OSError, RuntimeError):  # an inaccessible or missing folder; "~nobody"
        raise ValueError("expected an accessible file") from None
    if not is_file:
        raise ValueError("expected an existing file, preferably as an absolute path")
    return path


def _check_secret_file(path: Path) -> Path:
    with suppress(OSError, RuntimeError):
        if path.expanduser().is_fifo():
            raise ValueError("expected a file, not a pipe: it is read again for each new connection")
    read_secret_file(path)
    return path.expanduser().absolute()


def split_command(text: str) -> list[str]:
    """Return a program and its arguments, quoted as in a shell.

    Raises:
        ValueError: the text is not a command, or it needs a shell; the message does not contain it.
    """
    try:
        words = shlex.split(text, posix=os.name != "nt")
    except ValueError:
        raise ValueError("expected a command and its arguments, with every quote closed") from None
    if os.name == "nt":  # backslashes belong to paths there, and quotes are left around a word
        words = [word[1:-1] if word[:1] == word[-1:] == '"' else word for word in words]
    if not words or not words[0]:
        raise ValueError("expected a command and its arguments")
    if not _SHELL_SYNTAX.isdisjoint(words) or any(word.startswith("$(") for word in words):
        raise ValueError("it is run without a shell: for a pipe or $(…), write sh -c '…'")
    return words


def _check_command(command: Secret) -> Secret:
    split_command(command.get_secret_value())
    return command


def _find_folder_of(path: Path) -> Path:
    try:
        path = path.expanduser().absolute()
        has_folder = path.parent.is_dir()
    except (OSError, RuntimeError):
        raise ValueError("expected a file in an accessible folder") from None
    if not has_folder:
        raise ValueError("expected a file in an existing folder, preferably as an absolute path")
    return path


def _find_writable_folder(path: Path) -> Path:
    try:
        path = path.expanduser().resolve()
        is_writable = path.is_dir() and os.access(path, os.W_OK | os.X_OK)
    except (OSError, RuntimeError):
        raise ValueError("expected an accessible folder") from None
    if not is_writable:
        raise ValueError("expected an existing, writable folder, preferably as an absolute path")
    return path


def _find_root_cert(text: str) -> str:
    return text if text == "system" else str(_find_file(Path(text)))


def _split_function_names(value: object) -> tuple[str, ...]:
    names = tuple(name.strip() for name in str(value).split(",") if name.strip())
    if not all(_FUNCTION_NAME.fullmatch(name) for name in names):
        raise ValueError("expected comma-separated name, schema.name, schema.*, prefix_* or extension:name")
    return names


def _split_patterns(value: object) -> tuple[str, ...]:
    patterns = tuple(pattern.strip() for pattern in str(value).split(",") if pattern.strip())
    if any(pattern.count(".") > 2 for pattern in patterns):
        raise ValueError("expected comma-separated column, table.column or schema.table.column, * allowed")
    return patterns


def _split_hosts(value: object) -> tuple[str, ...]:
    hosts = tuple(host.strip().lower() for host in str(value).split(",") if host.strip())
    if not all(_HTTP_HOST.fullmatch(host) for host in hosts):
        raise ValueError("expected comma-separated host or host:port, as clients write them in a URL")
    return hosts


def split_networks(value: object) -> tuple[str, ...]:
    """Return the addresses and networks of a comma-separated list.

    Raises:
        ValueError: an entry is neither.
    """
    networks = tuple(network.strip() for network in str(value).split(",") if network.strip())
    try:
        for network in networks:
            ip_network(network)
    except ValueError:
        raise ValueError("expected comma-separated addresses or networks, such as 10.0.0.0/8") from None
    return networks


def _split_origins(value: object) -> tuple[str, ...]:
    origins = tuple(origin.strip().lower() for origin in str(value).split(",") if origin.strip())
    if not all(_HTTP_ORIGIN.fullmatch(origin) for origin in origins):
        raise ValueError("expected comma-separated https://host or https://host:port, without a path")
    return origins


def _check_token_hashes(hashes: Secret) -> Secret:
    pairs = [pair.strip() for pair in hashes.get_secret_value().split(",") if pair.strip()]
    if not all(_TOKEN_HASH.fullmatch(pair) for pair in pairs):
        raise ValueError("expected comma-separated name=hash, as `pgmcp token NAME` prints them")
    names = [pair.partition("=")[0] for pair in pairs]
    if len(set(names)) < len(names):
        raise ValueError("expected every name once")
    return hashes


def _check_redis_url(url: Secret) -> Secret:
    parts = urlsplit(url.get_secret_value())
    place = parts.path if parts.scheme == "unix" else parts.hostname
    if parts.scheme not in ("redis", "rediss", "unix") or not place:
        raise ValueError("expected redis://[:password@]host:port/0, rediss://… or unix:///path/to/socket")
    return url


def split_keys(keys: Secret) -> tuple[str, ...]:
    """Return the keys of a comma-separated list."""
    return tuple(key.strip() for key in keys.get_secret_value().split(",") if key.strip())


def _check_state_keys(keys: Secret) -> Secret:
    listed = split_keys(keys)
    if not listed or not all(_STATE_KEY.fullmatch(key) for key in listed):
        raise ValueError(
            "expected comma-separated keys of 32 characters or more, as of `openssl rand -hex 32`"
        )
    return keys


def _check_secure_url(url: str) -> str:
    parts = urlsplit(url)
    is_local = parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1", "::1")
    if not parts.hostname or not (parts.scheme == "https" or is_local) or parts.query or parts.fragment:
        raise ValueError("expected https://host/path without a query; http only for this machine")
    if parts.username is not None:
        raise ValueError("expected an address without a user or a password")
    return url


def _split_words(value: object) -> tuple[str, ...]:
    return tuple(word for word in re.split(r"[\s,]+", str(value)) if word)


def _split_token_types(value: object) -> tuple[str, ...]:
    return tuple(word.lower().removeprefix("application/") for word in _split_words(value))


def _split_roles(value: object) -> tuple[tuple[str, str, str], ...]:
    """Return claim, value and role of each entry; the claim is "" if the entry names a principal."""
    entries = []
    for entry in _split(value):
        found = _ROLE_ENTRY.fullmatch(entry)
        if found is None or not is_role_name(found["role"]):
            raise ValueError(
                "expected comma-separated principal=role or claim:value=role, with names of database roles"
            )
        entries.append((found["claim"] or "", found["value"].strip(), found["role"].strip()))
    if len({entry[:2] for entry in entries}) < len(entries):
        raise ValueError("expected every principal and every value of a claim once")
    return tuple(entries)


def _split_claim_settings(value: object) -> tuple[tuple[str, str], ...]:
    pairs = [tuple(part.strip() for part in pair.partition("=")) for pair in _split(value)]
    if not all(_CLAIM_SETTING.fullmatch(name) and claim for name, _, claim in pairs):
        raise ValueError("expected comma-separated setting=claim, each setting with a dot such as app.tenant")
    if len({name.lower() for name, _, _ in pairs}) < len(pairs):
        raise ValueError("expected every setting once")
    return tuple((name, claim) for name, _, claim in pairs)


def _check_ssh_destination(text: str) -> str:
    if not _SSH_DESTINATION.fullmatch(text):
        raise ValueError(
            "expected user@host, ssh://user@host:port or a host of ssh's configuration, only one"
        )
    return text


def _check_role(role: str) -> str:
    if not is_role_name(role):
        raise ValueError("expected the name of a database role")
    return role


def is_role_name(text: str) -> bool:
    """Return whether a role can have this name; "none" means no role to PostgreSQL, even between quotes."""
    name = text.strip()
    return 0 < len(name.encode()) <= _MAX_ROLE_BYTES and name != "none" and "\0" not in name


def _split(value: object) -> list[str]:
    return [part.strip() for part in str(value).split(",") if part.strip()]


def _split_schemas(value: object) -> tuple[str, ...]:
    return tuple(pattern.strip() for pattern in str(value).split(",") if pattern.strip())


Url = Annotated[Secret, Check(_check_url)]
Host = Annotated[str, Check(_check_host)]
SslMode = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]
RootCert = Annotated[str, Check(_find_root_cert)]
TargetSessionAttrs = Literal["any", "read-write", "read-only", "primary", "standby", "prefer-standby"]
BaseUrl = Annotated[str, Check(_check_base_url)]
FunctionNames = Annotated[tuple[str, ...], Convert(_split_function_names)]
ColumnPatterns = Annotated[tuple[str, ...], Convert(_split_patterns)]
SchemaPatterns = Annotated[tuple[str, ...], Convert(_split_schemas)]
HttpHosts = Annotated[tuple[str, ...], Convert(_split_hosts)]
Networks = Annotated[tuple[str, ...], Convert(split_networks)]
HttpOrigins = Annotated[tuple[str, ...], Convert(_split_origins)]
TokenHashes = Annotated[Secret, Check(_check_token_hashes)]
RedisUrl = Annotated[Secret, Check(_check_redis_url)]
StateKeys = Annotated[Secret, Check(_check_state_keys)]
SecureUrl = Annotated[str, Check(_check_secure_url)]
RoleEntries = Annotated[tuple[tuple[str, str, str], ...], Convert(_split_roles)]
ClaimSettings = Annotated[tuple[tuple[str, str], ...], Convert(_split_claim_settings)]
RoleName = Annotated[str, Check(_check_role)]
Words = Annotated[tuple[str, ...], Convert(_split_words)]
TokenTypes = Annotated[tuple[str, ...], Convert(_split_token_types)]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
LOWER = Convert(lambda value: str(value).lower())
UPPER = Convert(lambda value: str(value).upper())
SshDestination = Annotated[str, Check(_check_ssh_destination)]
SecretFile = Annotated[Path, Check(_check_secret_file)]
Command = Annotated[Secret, Check(_check_command)]
ExistingFile = Annotated[Path, Check(_find_file)]
FileInExistingFolder = Annotated[Path, Check(_find_folder_of)]
WritableFolder = Annotated[Path, Check(_find_writable_folder)]

"""The settings of one database."""

import sys
from dataclasses import dataclass
from typing import Annotated

from pgmcp.settings import conninfo
from pgmcp.settings.field_types import (
    LOWER,
    ClaimSettings,
    Command,
    ExistingFile,
    Host,
    RoleEntries,
    RoleName,
    RootCert,
    SchemaPatterns,
    SecretFile,
    SshDestination,
    SslMode,
    TargetSessionAttrs,
    Url,
    split_command,
)
from pgmcp.settings.section import ContradictionError, Secret, Section, number, setting, unset


@dataclass(frozen=True, kw_only=True)
class DatabaseSettings(Section):
    """Connection to one database, and limits on the number of connections."""

    url: Url | None = unset(
        "connection URL or libpq key=value string; several hosts are allowed. It overrides host, port and "
        "dbname, and every other setting that it contains, such as user, password and ssl_mode"
    )
    url_file: SecretFile | None = unset(
        "file that holds the URL, instead of the URL. Its user and password are read for each new "
        "connection, the rest at the start"
    )
    host: Host | None = unset("host name, address or socket folder; comma-separated ones are tried in order")
    port: int | None = number(None, "", 1, 65535, "TCP port of every host", documented=5432)
    dbname: str | None = unset("name of the database on the server; same as the user if unset")
    user: str | None = unset("role to log in as; grant it only SELECT")
    password: Secret | None = unset("password; ~/.pgpass and PGPASSWORD are read too")
    password_file: SecretFile | None = unset(
        "file that holds the password, instead of the password; read for each new connection"
    )
    password_command: Command | None = unset(
        "command that prints the password, instead of the password; run without a shell for new connections. "
        "It prints the password alone, or JSON with password and, optionally, user and expires"
    )
    password_lifetime_s: float = number(
        600.0,
        "seconds",
        0,
        604_800,
        "how long new connections use the password of the command if it printed no expiry; 0 runs the "
        "command for each connection. A password that the server refuses is not used again",
    )
    ssl_mode: Annotated[SslMode, LOWER] | None = unset(
        "whether TLS is used; verify-ca and verify-full also need the root certificate", default="prefer"
    )
    ssl_root_cert: RootCert | None = unset(
        "file of CA certificates to verify the server's certificate, or the word system"
    )
    ssh: SshDestination | None = unset(
        "bastion through which the database is reached: user@host, ssh://user@host:port, or a host of ssh's "
        "configuration. Host and port of the database are then those that the bastion connects to"
    )
    ssh_config: ExistingFile | None = unset("configuration file for ssh, instead of ~/.ssh/config")
    service: str | None = unset("name of a service in pg_service.conf with further connection parameters")
    target_session_attrs: Annotated[TargetSessionAttrs, LOWER] | None = unset(
        "which of several hosts to choose: prefer-standby keeps load off the primary",
        default="any",
    )
    max_pool_size: int = number(
        10, "connections", 1, 500, "maximum number of connections, one worker process each"
    )
    min_pool_size: int | None = number(
        None,
        "connections",
        0,
        500,
        "connections that stay open when idle; not more than the maximum. If unset, 0 over stdio, where each "
        "window of a host may start a server, and 2 over HTTP",
    )
    include_schemas: SchemaPatterns = setting(
        (),
        "schemas shown to the model, comma-separated, * allowed; if unset, all but the system "
        "schemas. This is not a security boundary; use GRANT",
    )
    exclude_schemas: SchemaPatterns = setting((), "schemas hidden from the model, comma-separated, * allowed")
    roles: RoleEntries = setting(
        (),
        "database role of each caller over HTTP: principal=role and claim:value=role, "
        "comma-separated; the first match counts. The caller's statements run with this role",
    )
    default_role: RoleName | None = unset(
        "database role of callers that PG_MCP_DATABASE_ROLES does not match, and of callers without a token "
        "(stdio, command line). If unset while PG_MCP_DATABASE_ROLES is set, these callers are refused"
    )
    claim_settings: ClaimSettings = setting(
        (),
        "settings that row policies can read, as setting=claim, comma-separated, for example "
        "app.tenant=tenant; each gets the value of the claim in the caller's token, or an empty text. "
        "Requires roles or a default role",
    )

    def __post_init__(self) -> None:
        """Check settings that depend on each other.

        Raises:
            ContradictionError: some contradict each other, or one is missing.
        """
        if all(getattr(self, name) is None for name in LOCATING_FIELDS):
            raise ContradictionError("", f"expected one of {', '.join(LOCATING_FIELDS)} to be set too")
        self._check_passwords()
        if self.min_pool_size is not None and self.min_pool_size > self.max_pool_size:
            raise ContradictionError(
                "min_pool_size", f"expected at most {self.max_pool_size} connections, the maximum pool size"
            )
        self._check_ssh()
        if self.claim_settings and not self.maps_roles:
            # With the login role, each caller would see in pg_stat_activity what the others run.
            raise ContradictionError("claim_settings", "expected ROLES or DEFAULT_ROLE to be set too")
        if (self.ssl_mode or "").startswith("verify") and not self._names_root_cert:
            raise ContradictionError(
                "ssl_mode", "expected SSL_ROOT_CERT to be set too: a file of CA certificates, or system"
            )
        # With "system", libpq's default becomes verify-full, so only an explicit mode can contradict it.
        if self.ssl_root_cert == "system" and self.ssl_mode not in (None, "verify-full"):
            raise ContradictionError(
                "ssl_mode", "expected verify-full, the only mode that supports system roots"
            )

    def _check_passwords(self) -> None:
        given = [field for field in PASSWORD_FIELDS if getattr(self, field) is not None]
        if len(given) > 1:
            names = " and ".join(field.upper() for field in given)
            raise ContradictionError(given[-1], f"{names} are both set: keep one of them")
        if given and given[0] != "password" and "password" in conninfo.keywords(self._plain_url):
            raise ContradictionError(given[0], "the URL contains a password too: remove it there")

    def _check_ssh(self) -> None:
        """Reject settings that do not work through a tunnel, which leads to one named host."""
        if self.ssh is None:
            if self.ssh_config is not None:
                raise ContradictionError("ssh_config", "expected SSH to be set too")
            return
        if sys.platform == "win32":
            raise ContradictionError(
                "ssh", "Windows' OpenSSH cannot forward a private socket; run ssh -L yourself"
            )
        given = self._given
        for keyword in ("service", "hostaddr"):
            if given.get(keyword):
                raise ContradictionError(
                    "ssh", f"{keyword} cannot be used through a bastion: name the host instead"
                )
        host = given.get("host", "")
        if not host or host.startswith(("/", "@", "%")):
            raise ContradictionError(
                "ssh", "expected HOST or a host in the URL: as the bastion sees it, for example localhost"
            )
        if "," in host or "," in given.get("port", ""):
            raise ContradictionError(
                "ssh", "expected one host: a tunnel leads to one, so name no further hosts"
            )

    @property
    def place(self) -> tuple[str, int]:
        """Host and port of the only host of a database behind a bastion."""
        given = self._given
        return given["host"], int(given.get("port") or 5432)

    @property
    def _given(self) -> dict[str, str]:
        """The libpq parameters of the URL and the settings."""
        url, params = self.target()
        return params | conninfo.values(url)

    @property
    def _plain_url(self) -> str:
        return self.url.get_secret_value() if self.url else ""

    @property
    def password_argv(self) -> list[str]:
        """The program of the password command and its arguments; empty without one."""
        return split_command(self.password_command.get_secret_value()) if self.password_command else []

    @property
    def maps_roles(self) -> bool:
        """Whether callers get roles of their own."""
        return bool(self.roles or self.default_role)

    @property
    def _names_root_cert(self) -> bool:
        return self.ssl_root_cert is not None or "sslrootcert" in conninfo.keywords(self._plain_url)

    def target(self) -> tuple[str, dict[str, str]]:
        """Return a conninfo and the libpq parameters to merge into it, in plain text.

        The parameters contain only explicit settings, so that a service file, a URL or libpq's environment
        can provide the rest. Both may be empty: libpq then uses its environment.
        """
        url = conninfo.normalize(self.url.get_secret_value()) if self.url else ""
        overridden = {"host", "port", "dbname", *conninfo.keywords(url)} if url else set()
        params = {
            _RENAMED_BY_LIBPQ.get(field, field): _plain(getattr(self, field))
            for field in _LIBPQ_FIELDS
            if getattr(self, field) is not None
        }
        return url, {keyword: text for keyword, text in params.items() if keyword not in overridden}


LOCATING_FIELDS = ("url", "host", "dbname", "user", "service")
"""Each of these fields locates a database; an empty URL leaves the location to libpq's environment."""

PASSWORD_FIELDS = ("password", "password_file", "password_command")
"""A database has only one of these fields; the one in the source with the highest precedence counts."""

_LIBPQ_FIELDS = (
    "host",
    "port",
    "dbname",
    "user",
    "password",
    "ssl_mode",
    "ssl_root_cert",
    "service",
    "target_session_attrs",
)
_RENAMED_BY_LIBPQ = {"ssl_mode": "sslmode", "ssl_root_cert": "sslrootcert"}


def _plain(value: object) -> str:
    return value.get_secret_value() if isinstance(value, Secret) else str(value)

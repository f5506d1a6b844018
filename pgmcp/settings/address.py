"""Where a database is, from its settings and libpq's environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from pgmcp.settings import conninfo
from pgmcp.settings.database import DatabaseSettings


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a database, from settings and environment.

    Attributes:
        hosts: "db.example.com:5432", or several; and the bastion, if there is one.
        ssl_mode: the effective mode; libpq's default if unset.
        is_verified: whether that mode checks the server's certificate.
        bastion: the host through which it is reached by SSH; "" for a direct connection.
    """

    hosts: str
    ssl_mode: str
    is_verified: bool
    bastion: str = ""


def find_address(settings: DatabaseSettings, environ: Mapping[str, str] | None = None) -> Address:
    """Return the address of a database; service files are not read."""
    environ = os.environ if environ is None else environ
    url, params = settings.target()
    given = params | conninfo.values(url)
    root_cert = given.get("sslrootcert") or environ.get("PGSSLROOTCERT", "")
    default = "verify-full" if root_cert == "system" else "prefer"
    ssl_mode = given.get("sslmode") or environ.get("PGSSLMODE") or default
    return Address(
        hosts=_hosts(given, environ) + (f" through {settings.ssh}" if settings.ssh else ""),
        ssl_mode=ssl_mode,
        # PostgreSQL manual, "Protection Provided in Different Modes": with a root certificate,
        # require checks as verify-ca does.
        is_verified=ssl_mode.startswith("verify") or (ssl_mode == "require" and bool(root_cert)),
        bastion=settings.ssh or "",
    )


def find_dbname(settings: DatabaseSettings, environ: Mapping[str, str] | None = None) -> str:
    """Return PostgreSQL's name of a database; "" if only a service file or libpq's default names it."""
    environ = os.environ if environ is None else environ
    url, params = settings.target()
    given = params | conninfo.values(url)
    return given.get("dbname") or environ.get("PGDATABASE") or ""


def _hosts(given: Mapping[str, str], environ: Mapping[str, str]) -> str:
    hosts = given.get("host") or given.get("hostaddr") or environ.get("PGHOST") or environ.get("PGHOSTADDR")
    if not hosts and (service := given.get("service") or environ.get("PGSERVICE")):
        return f"service {service}"
    ports = (given.get("port") or environ.get("PGPORT") or "5432").split(",")
    if not hosts:
        return f"local socket, port {ports[0]}"
    names = hosts.split(",")
    ports = ports if len(ports) == len(names) else ports[:1] * len(names)
    return ", ".join(f"{name}:{port or 5432}" for name, port in zip(names, ports, strict=True))

"""Reads user and password of a database's URL from the file that holds the URL, for each new connection."""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pgmcp.errors import DatabaseAuthError
from pgmcp.execution.credentials import Login
from pgmcp.secret_file import read_secret_file
from pgmcp.settings.conninfo import normalize, values

logger = logging.getLogger(__name__)

_LOGIN: Final = ("user", "password")


class UrlFile:
    """The file of one database's URL.

    Args:
        path: the file.
        database: the name of the database in the settings, for messages.
        given: the libpq parameters of the URL at the start; of a later URL, only user and password are used.
    """

    def __init__(self, path: Path, database: str, given: Mapping[str, str]) -> None:
        self._path = path
        self._database = database
        self._rest = _without_login(given)
        self._has_warned = False

    async def ask(self) -> Login:
        """Return user and password of the URL that is currently in the file.

        Raises:
            DatabaseAuthError: the file cannot be read, has no URL, or a URL without a password.
        """
        try:
            given = await asyncio.to_thread(_read_url, self._path)
        except ValueError as error:
            raise DatabaseAuthError(
                f"no password for database {self._database}: its URL file cannot be used: {error}",
                hint="the file of PG_MCP_DATABASE_URL_FILE is read for each new connection",
            ) from None
        self._warn_of_changes(_without_login(given))
        return Login(given["password"], given.get("user"))

    def _warn_of_changes(self, rest: Mapping[str, str]) -> None:
        """Warn once if more than the login has changed."""
        changed = sorted({keyword for keyword, _ in rest.items() ^ self._rest.items()})
        if changed and not self._has_warned:
            self._has_warned = True
            logger.warning(
                "database %s: %s changed in its URL file; restart pgmcp to use the new URL. "
                "Until then only its user and password are used",
                self._database,
                ", ".join(changed),
            )


def _read_url(path: Path) -> dict[str, str]:
    """Return the libpq parameters of the URL in a file; a ValueError never contains them."""
    given = values(normalize(read_secret_file(path)))
    if "password" not in given:
        raise ValueError("its URL has no password")
    return given


def _without_login(given: Mapping[str, str]) -> dict[str, str]:
    return {keyword: text for keyword, text in given.items() if keyword not in _LOGIN}

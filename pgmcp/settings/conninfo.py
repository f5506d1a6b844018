r"""Connection strings, parsed as libpq parses them, because pgmcp's main process does not load it.

Two forms (PostgreSQL manual, "Connection Strings"):

    postgresql://user:password@host1:5432,host2/dbname?sslmode=require
    host=host1,host2 dbname=shop password='it\'s' target_session_attrs=any
"""

import difflib
import re
from typing import Final, NamedTuple, NoReturn
from urllib.parse import quote, unquote

from pgmcp.settings.libpq_keywords import KEYWORDS, find_conflicts, find_problem

_URL = re.compile(r"postgres(?:ql)?://", re.IGNORECASE)
_HOSTS_AND_DBNAME = re.compile(
    r"""(?: (?:\[[^\]]*\] | [^\s:,/\[\]]*) (?::\d*)? (?:,|(?=/)|\Z) )*   # host:port, [v6]:port, …
        (?:/.*)?""",
    re.VERBOSE,
)
_DRIVER_URL = re.compile(r"postgres(?:ql)?\+(\w{1,20})://", re.IGNORECASE)
_SEMICOLONS = re.compile(
    r"\s*(?:pgsql:)?\s*(?:host|server|data source|port|database|user(?:name| id)?)\s*=[^;']*;", re.IGNORECASE
)
_JDBC = re.compile(r"jdbc:(?:[\w-]+:)?(?=postgres)", re.IGNORECASE)
_WRAPPED_URL = re.compile(
    r"[^:/]*?['\"<= ]\s*postgres(?:ql)?://|['\"<]|(?:PG\w+=\S*\s+)*psql\s", re.IGNORECASE
)
_VARIABLE = re.compile(r"\$\w+|\$\{[\w.]+\}|\$?\{\{\s*[\w.]+\s*\}\}|%\w+%")
_VARIABLE_IN_URL = re.compile(r"\$\{[\w.]+\}|\$?\{\{\s*[\w.]+\s*\}\}")
_POSTGRES_MISSPELT = re.compile(r"postgres(?:ql)?:?/{0,2}[^/]+@", re.IGNORECASE)
_OTHER_SCHEME = re.compile(r"([a-z][a-z0-9+.-]{0,20})://", re.IGNORECASE)
_WITHOUT_SCHEME = re.compile(
    r"(?:[^\s=@]+@)?[\w.-]+(?::\d+)?/\w+(?:\?\S*)?|[^\s=@/]+:[^\s=@/]+@[\w.-]+(?::\d+)?"
)
_PARAMETERS_IN_DBNAME = re.compile(r"/[^/]*[;&]\w+=")
_PLACEHOLDER = re.compile(r"\[[A-Z_ -]+\]|<[A-Za-z_ -]+>|\{[A-Za-z_ -]+\}")
_QUERY_START = re.compile(r"\?(?=[A-Za-z_%0-9.-]+=|\Z)")
_PAIR = re.compile(r"\s*([A-Za-z_]+)\s*=\s*('(?:[^'\\]|\\.)*'|(?!')(?:[^\s\\]|\\.)*)(?:\s+|\Z)", re.DOTALL)
_COMMA_BETWEEN_PAIRS = re.compile(r",\Z|,\s*[a-z]+=")
_OPEN_QUOTE = re.compile(r"\s*([A-Za-z_]+)\s*=\s*'")
_TEXT_IN_PORT = re.compile(r"(?:[^@]*,)?[\w.-]+:(?!\d*(?:,|/|\Z))[^:/,\[\]@]*(?:,|/|\Z)")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
# Characters allowed unencoded in a user name or password (RFC 3986, userinfo), and "%" of an existing
# encoding.
_SAFE_IN_USERINFO = "!$&'()*+,;=%"

_NAMES: Final = frozenset(("host", "port", "dbname", "user"))
_SECRET_KEYWORDS: Final = ("password", "sslpassword", "oauth_client_secret")
HIDDEN: Final = "***"
_NOT_SHOWN: Final = "(not shown: it cannot be parsed)"

_OTHER_FORMS: Final = (
    (_SEMICOLONS, "separate libpq's pairs by spaces, not by semicolons: host=… dbname=… user=…"),
    (_WRAPPED_URL, "write the URL alone, without a command, a variable's name or quotes around it"),
    (_POSTGRES_MISSPELT, "begin it with postgresql://, with a colon and two slashes"),
)
_URL_SCHEMES: Final = ("postgresql", "postgres")
_POSTGRES_SCHEMES: Final = frozenset(
    ("postgis", "pgsql", "pg", "ecto", "cockroachdb", "cockroach", "timescaledb", "redshift")
)

EXPECTED = "postgresql://user:password@host:5432/dbname, or libpq's key=value pairs"


class _Url(NamedTuple):
    scheme: str
    user: str
    password: str | None
    location: str
    query: str


def normalize(conninfo: str) -> str:
    """Return a connection string that libpq reads as intended.

    The user and the password of a URL may contain raw `@`, `%`, `/`, `:` and `#`, which are percent-encoded
    in the result. User and password end at the last `@` before the query, and the user ends at the first `:`.
    `%41` is read as an encoded `A`: for a password with these three characters, the URL must have `%2541`.
    For a database name with `@`, it must have `%40`.

    Raises:
        ValueError: the string has neither form, or libpq would reject a parameter. The message names the
            parameter and never contains a value.
    """
    conninfo = conninfo.strip()
    if not _URL.match(conninfo):
        _refuse_other_forms(conninfo)
        pairs = _pairs(conninfo)
        if any(_COMMA_BETWEEN_PAIRS.search(pairs.get(name, "")) for name in _NAMES):
            raise ValueError("separate libpq's pairs by spaces, not by commas: host=… dbname=… user=…")
        _check_parameters(pairs)
        return conninfo
    url = _split(conninfo)
    _check_location(url)
    _check_query(url)
    password = unquote(url.password or "")
    if _VARIABLE_IN_URL.search(url.location) or _VARIABLE_IN_URL.fullmatch(password):
        raise ValueError("the URL contains the name of a variable: nothing has replaced it by its value")
    if _PLACEHOLDER.fullmatch(password):
        raise ValueError("the password in the URL is a placeholder: replace it, with its brackets")
    userinfo = _encode(url.user)
    if url.password is not None:
        userinfo += ":" + _encode(url.password)
    location = _LONE_PERCENT.sub("%25", url.location).replace(" ", "%20")
    return f"{url.scheme}://{userinfo}{'@' if userinfo else ''}{location}{_encode_query(url)}"


def keywords(conninfo: str) -> frozenset[str]:
    """Return the libpq keywords in a connection string; the hosts and dbname of a URL are left out."""
    if not _URL.match(conninfo):
        return frozenset(_pairs(conninfo))
    url = _split(conninfo)
    found = set(_options(url))
    found |= {keyword for keyword, text in (("user", url.user), ("password", url.password)) if text}
    if "ssl" in found:  # JDBC's spelling, which libpq reads as sslmode=require
        found.add("sslmode")
    return frozenset(found)


def values(conninfo: str) -> dict[str, str]:
    """Return the values of a connection string by libpq keyword, without empty ones.

    Raises:
        ValueError: the string cannot be parsed; the message never contains it.
    """
    if not _URL.match(conninfo):
        return {keyword: text for keyword, text in _pairs(conninfo).items() if text}
    url = _split(conninfo)
    given = {
        **_location(url),
        "user": unquote(url.user),
        "password": unquote(url.password or ""),
        **_options(url),
    }
    if "ssl" in given:
        given["sslmode"] = "require"  # libpq accepts only ssl=true, JDBC's spelling of it
        del given["ssl"]
    return {keyword: text for keyword, text in given.items() if text}


def _location(url: "_Url") -> dict[str, str]:
    hosts, _, dbname = url.location.partition("/")
    places = [
        place.rpartition(":") if re.search(r":\d*$", place) else (place, "", "") for place in hosts.split(",")
    ]
    ports = [port for _, _, port in places]
    return {
        "host": ",".join(unquote(host.strip("[]")) for host, _, _ in places),
        "port": ",".join(ports) if any(ports) else "",
        "dbname": unquote(dbname),
    }


def without_secrets(conninfo: str) -> str:
    """Return the connection string without secrets, for display."""
    try:
        if not _URL.match(conninfo):
            pairs = _pairs(conninfo).items()
            return " ".join(f"{keyword}={_hide(keyword, text)}" for keyword, text in pairs)
        url = _split(conninfo)
    except ValueError:
        return _NOT_SHOWN
    if "@" in url.query:  # a password with a raw "?" in it
        return _NOT_SHOWN
    password = f":{HIDDEN}" if url.password else ""
    userinfo = f"{url.user}{password}@" if url.user or password else ""
    options = "&".join(f"{keyword}={_hide(keyword, text)}" for keyword, text in _options(url).items())
    return f"{url.scheme}://{userinfo}{url.location}{'?' if options else ''}{options}"


def holds_secret(conninfo: str) -> bool:
    """Return whether `without_secrets` hides anything."""
    shown = without_secrets(conninfo)
    return shown == _NOT_SHOWN or HIDDEN in shown


def _hide(keyword: str, text: str) -> str:
    return HIDDEN if text and keyword in _SECRET_KEYWORDS else text


def _options(url: "_Url") -> dict[str, str]:
    return {unquote(keyword): unquote(text) for keyword, _, text in _query_pairs(url)}


def _query_pairs(url: "_Url") -> list[tuple[str, str, str]]:
    return [pair.partition("=") for pair in url.query.removeprefix("?").split("&") if pair]


def _encode_query(url: "_Url") -> str:
    """Return the query in libpq's form: "=", " " and single "%" within a value are encoded."""
    pairs = (
        f"{keyword}={_LONE_PERCENT.sub('%25', text).replace('=', '%3D').replace(' ', '%20')}"
        for keyword, _, text in _query_pairs(url)
    )
    query = "&".join(pairs)
    return f"?{query}" if query else ""


def _check_query(url: "_Url") -> None:
    """Reject parameters that libpq does not accept.

    A raw "?" in a password makes the rest of the password look like a query. If an "@" follows, no message
    repeats the query.
    """
    if "%00" in "".join(part or "" for part in url):
        raise ValueError("a connection URL cannot contain %00")
    if "?" in url.location:
        raise ValueError("expected name=value after the ? of the connection URL")
    if _PARAMETERS_IN_DBNAME.search(url.location):
        raise ValueError("write ? before the first parameter of the connection URL, and & between parameters")
    if "&amp;" in url.query:
        raise ValueError("write & between the parameters of the connection URL, not &amp;")
    options = _options(url)
    if "@" in url.query and not options.keys() <= KEYWORDS:
        raise ValueError(
            "write a ? in the user or password as %3F, or correct the unknown parameter after the ?"
        )
    if options.get("ssl") == "true":
        del options["ssl"]  # JDBC's spelling, the only one that libpq accepts
    _check_parameters({keyword: text for keyword, text in _location(url).items() if text} | options)


def _check_location(url: "_Url") -> None:
    """Reject a scheme before the host, and text that is not UTF-8."""
    if "://" in url.location:
        raise ValueError("write the host without a scheme: postgresql://user:password@host:5432/dbname")
    if any(re.fullmatch(r"\d{1,5}", host) for host in _location(url)["host"].split(",")):
        raise ValueError("a host is a number: write each port after its host, as in host1:5432,host2:5433")
    try:
        unquote("\n".join(part or "" for part in url), errors="strict")
    except UnicodeDecodeError:
        raise ValueError("percent-encoded characters in a connection URL are UTF-8: é is %C3%A9") from None


def _check_parameters(given: dict[str, str]) -> None:
    problems = [problem for keyword, text in given.items() if (problem := find_problem(keyword, text))]
    problems += find_conflicts(given)
    if problems:
        raise ValueError("; ".join(problems))


def _refuse_other_forms(conninfo: str) -> None:
    """Raise an error that says how to rewrite connection strings of other drivers."""
    if jdbc := _JDBC.match(conninfo):
        _refuse_prefix(f"a JDBC URL is not supported: remove {jdbc[0]!r}", conninfo[jdbc.end() :])
    if driver := _DRIVER_URL.match(conninfo):
        rest = f"postgresql://{conninfo[driver.end() :]}"
        _refuse_prefix(f"remove the driver name '+{driver[1]}' from the URL", rest)
    for form, problem in _OTHER_FORMS:
        if form.match(conninfo):
            raise ValueError(problem)
    if _VARIABLE.fullmatch(conninfo):
        raise ValueError("the URL is the name of a variable: nothing has replaced it by its value")
    if scheme := _OTHER_SCHEME.match(conninfo):
        raise ValueError(_problem_of_scheme(scheme[1].lower()))
    if _WITHOUT_SCHEME.fullmatch(conninfo):
        raise ValueError("write postgresql:// before it")


def _refuse_prefix(problem: str, rest: str) -> NoReturn:
    """Raise an error for a URL that begins wrongly, with the problems of the rest, so that all are shown."""
    try:
        normalize(rest)
    except ValueError as error:
        raise ValueError(f"{problem}; {error}") from None
    raise ValueError(f"{problem}; expected {EXPECTED}")


def _problem_of_scheme(scheme: str) -> str:
    if scheme.startswith("prisma"):
        return f"{scheme}:// is a protocol of Prisma's own: write the URL of the database, {EXPECTED}"
    if scheme == "socket":
        return "write the folder of a socket as host: host=/var/run/postgresql dbname=shop"
    plain = scheme.partition("+")[0]
    if plain in _POSTGRES_SCHEMES or difflib.get_close_matches(plain, _URL_SCHEMES, cutoff=0.8):
        return f"write postgresql:// instead of {scheme}://"
    return f"expected {EXPECTED}; it begins with {scheme}://, and pgmcp connects to PostgreSQL only"


def _split(conninfo: str) -> _Url:
    scheme, _, rest = conninfo.partition("://")
    query_start = _QUERY_START.search(rest)
    query_at = query_start.start() if query_start else len(rest)
    userinfo, _, location = rest[:query_at].rpartition("@")
    if not _HOSTS_AND_DBNAME.fullmatch(location):
        if "@" in rest[query_at:]:
            raise ValueError("write a ? in the user or password as %3F")
        hint = "; a port is a number from 1 to 65535" if _TEXT_IN_PORT.match(location) else ""
        raise ValueError(f"expected {EXPECTED}{hint}")
    user, colon, password = userinfo.partition(":")
    return _Url(scheme.lower(), user, password if colon else None, location, rest[query_at:])


def _encode(text: str) -> str:
    return quote(_LONE_PERCENT.sub("%25", text), safe=_SAFE_IN_USERINFO)


def _pairs(conninfo: str) -> dict[str, str]:
    found: dict[str, str] = {}
    position = 0
    while position < len(conninfo):
        pair = _PAIR.match(conninfo, position)
        if pair is None:
            raise ValueError(f"expected {EXPECTED}{_problem_of_pair(conninfo[position:], list(found))}")
        text = pair[2]
        found[pair[1]] = _ESCAPED.sub(r"\1", text[1:-1] if text.startswith("'") else text)
        position = pair.end()
    return found


def _problem_of_pair(rest: str, before: list[str]) -> str:
    """Return the end of an error message: what is wrong with a text that does not begin with a pair.

    Args:
        rest: the connection string from that place on.
        before: the keywords of the pairs before that place.
    """
    if quoted := _OPEN_QUOTE.match(rest):
        return f"; the quoted value of {quoted[1]} does not end" if quoted[1] in KEYWORDS else ""
    if before and before[-1] in KEYWORDS:
        return f"; after {before[-1]}: put a value with spaces into single quotes"
    return ""

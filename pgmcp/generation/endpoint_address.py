"""Reads the address of a model endpoint, and decides which header carries the key."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs, urlsplit, urlunsplit

_API_PATH: Final = re.compile(
    r"/(?:chat(?:/completions)?|completions|responses|models|embeddings|messages)\Z", re.IGNORECASE
)
"""Paths that may follow the base URL if an operator copied a whole address."""

_AZURE_HOST: Final = re.compile(
    r"\.(?:openai\.azure|cognitiveservices\.azure|services\.ai\.azure)\.(?:com|us|cn)\Z|\.azure-api\.net\Z",
    re.IGNORECASE,
)
_AZURE_PATH: Final = re.compile(r"/openai/deployments/", re.IGNORECASE)
_ENTRA_TOKEN: Final = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")
"""A JSON Web Token, which Azure accepts in the Authorization header instead of a key."""


def split_base_url(url: str) -> tuple[str, dict[str, object]]:
    """Return the base URL, to which "/chat/completions" is appended, and the query of every request."""
    parts = urlsplit(url)
    path = _API_PATH.sub("", parts.path.rstrip("/"))
    query: dict[str, object] = {
        name: texts[0] if len(texts) == 1 else texts
        for name, texts in parse_qs(parts.query, keep_blank_values=True).items()
    }
    return urlunsplit((parts.scheme, parts.netloc, path, "", "")), query


def own_key_header(url: str, api_key: str | None) -> Mapping[str, str]:
    """Return the header that carries the key instead of Authorization; empty if Authorization carries it.

    The URLs of Azure's deployments do not accept a key in the Authorization header.
    """
    parts = urlsplit(url)
    is_azure = _AZURE_HOST.search(parts.hostname or "") or _AZURE_PATH.search(parts.path)
    if not api_key or not is_azure or _ENTRA_TOKEN.fullmatch(api_key):
        return {}
    return {"api-key": api_key}

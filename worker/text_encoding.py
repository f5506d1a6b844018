"""Chooses the encoding of text between the server and the worker, and encodes and decodes text.

A server that converts text refuses a whole result for one byte that it cannot convert. So text arrives in the
server's own encoding, if Python knows it. The worker decodes it, and shows an invalid byte as U+FFFD. A
SQL_ASCII database has no defined encoding: its text is read as UTF-8, unless the connection string names a
client_encoding.

Names of encodings: PostgreSQL manual, "Character Set Support".
"""

from dataclasses import dataclass
from typing import Final

_UTF8: Final = "utf-8"
_SQL_ASCII: Final = "SQL_ASCII"

# Encodings that only clients can use are below.
_CODEC_BY_NAME: Final = {
    "utf8": _UTF8,
    "unicode": _UTF8,
    "sqlascii": _UTF8,
    "euccn": "gb2312",
    "eucjis2004": "euc_jis_2004",
    "eucjp": "euc_jp",
    "euckr": "euc_kr",
    "koi8r": "koi8-r",
    "koi8": "koi8-r",
    "koi8u": "koi8-u",
    "win866": "cp866",
    "alt": "cp866",
    "win874": "cp874",
    "win": "cp1251",
    **dict.fromkeys(("abc", "tcvn", "tcvn5712", "vscii"), "cp1258"),
    **{f"{name}{page}": f"cp{page}" for name in ("win", "windows") for page in range(1250, 1259)},
    "windows866": "cp866",
    "windows874": "cp874",
    **{f"latin{number}": f"iso8859-{number}" for number in (1, 2, 3, 4)},
    **{f"iso8859{part}": f"iso8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16)},
    **{
        f"latin{number}": f"iso8859-{part}"
        for number, part in ((5, 9), (6, 10), (7, 13), (8, 14), (9, 15), (10, 16))
    },
}

# In these encodings, an ASCII byte may be half of a character. No server uses such an encoding, but a
# SQL_ASCII database may contain text in one.
_CLIENT_CODEC_BY_NAME: Final = {
    **dict.fromkeys(("sjis", "shiftjis", "mskanji", "win932", "windows932"), "cp932"),
    **dict.fromkeys(("big5", "win950", "windows950"), "cp950"),
    **dict.fromkeys(("gbk", "win936", "windows936"), "gbk"),
    **dict.fromkeys(("uhc", "win949", "windows949"), "cp949"),
    "gb18030": "gb18030",
    "johab": "johab",
    "shiftjis2004": "shift_jis_2004",
}


@dataclass(frozen=True, slots=True)
class TextEncoding:
    """The encoding of text on one connection.

    Attributes:
        client_encoding: the value to set in PostgreSQL; "" keeps UTF8, in which the connection began.
        codec: Python's name of the encoding.
        counts_bytes: whether the server counts positions in bytes, as it does in a SQL_ASCII database.
        is_client_only: whether an ASCII byte may be half of a character. Then only ASCII can be sent: the
            server, which reads bytes, could take half of a character for a quote.
    """

    client_encoding: str = ""
    codec: str = _UTF8
    counts_bytes: bool = False
    is_client_only: bool = False

    def decode(self, value: bytes) -> str:
        """Return the text, with U+FFFD for each invalid byte."""
        return value.decode(self.codec, "replace")

    def encode(self, text: str) -> bytes:
        """Return the bytes of a statement.

        Raises:
            UnicodeEncodeError: the encoding lacks a character, or would replace it by a similar one.
        """
        encoded = text.encode("ascii" if self.is_client_only else self.codec)
        # Some codecs write a similar character: euc_jp turns a yen sign into a backslash, which can move the
        # end of a string literal away from where the validator saw it.
        if self.codec != _UTF8 and encoded.decode(self.codec, "replace") != text:
            raise UnicodeEncodeError(self.codec, text, 0, len(text), "a character would be changed")
        return encoded

    def encode_setting(self, value: str, client_encoding: str, errors: str = "replace") -> bytes:
        """Return the value of a setting as bytes.

        Args:
            client_encoding: the session's present one, in which the server reads parameters. A SQL_ASCII
                database takes the bytes as they are.
            errors: as for `str.encode`; "replace" writes ? for a character that the encoding lacks.

        Raises:
            UnicodeEncodeError: the encoding lacks a character, and `errors` is "strict".
        """
        codec = self.codec if self.counts_bytes else codec_of(client_encoding) or _UTF8
        return value.encode(codec, errors)

    def character_position(self, position: int, text: str) -> int:
        """Return an offset in characters for an offset in this text as the server counts it."""
        if not self.counts_bytes or text.isascii():
            return position
        return len(text.encode(self.codec, "replace")[:position].decode(self.codec, "ignore"))


def choose_encoding(server_encoding: str, requested: str) -> TextEncoding:
    """Return the encoding for a connection.

    Args:
        server_encoding: the server's encoding, as it reports it.
        requested: client_encoding of the connection string, or "".
    """
    if server_encoding == _SQL_ASCII:
        codec = codec_of(requested)
        if client_codec := _CLIENT_CODEC_BY_NAME.get(_fold(requested)):
            return TextEncoding(_SQL_ASCII, client_codec, counts_bytes=True, is_client_only=True)
        if not codec:
            return TextEncoding(_SQL_ASCII, _UTF8, counts_bytes=True)
        # UTF8 is not requested for a SQL_ASCII database: the bytes would be the same, but the server would
        # validate them.
        name = _SQL_ASCII if codec == _UTF8 else requested
        return TextEncoding(name, codec, counts_bytes=True)
    codec = codec_of(server_encoding)
    if codec in ("", _UTF8):
        return TextEncoding()
    return TextEncoding(server_encoding, codec)


def codec_of(name: str) -> str:
    """Return Python's codec for PostgreSQL's name of an encoding, in any spelling; "" if unknown."""
    return _CODEC_BY_NAME.get(_fold(name), "")


def _fold(name: str) -> str:
    """Return a name as PostgreSQL compares it: only letters and digits, in lower case."""
    return "".join(filter(str.isalnum, name)).lower()

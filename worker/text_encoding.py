"""Chooses the encoding of text between the server and the worker, and encodes and decodes text.

A server that converts text refuses a whole result for one byte that it cannot convert. So text arrives in the
server's own encoding, if Python knows it. The worker decodes it, and shows an invalid byte as U+FFFD. A
SQL_ASCII database has no defined encoding: its text is read as UTF-8, unless the connection string names a
client_encoding.

Names of encodings: PostgreSQL manual, "Character Set Support".
"""

import codecs
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_UTF8: Final = "utf-8"
_SQL_ASCII: Final = "SQL_ASCII"

# Encodings that only clients can use are below.
_CODEC_BY_NAME: Final = {
    "utf8": _UTF8,
    "unicode": _UTF8,
    "sqlascii": _UTF8,
    "euccn": "gb2312",
    "eucjis2004": "postgresql_euc_jis_2004",
    "eucjp": "postgresql_euc_jp",
    "euckr": "postgresql_euc_kr",
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
    "shiftjis2004": "postgresql_shift_jis_2004",
}


@dataclass(frozen=True)
class _Corrected:
    """A codec of Python, corrected so that each character is the one that PostgreSQL converts it to.

    Attributes:
        decoder, encoder: the codecs of Python.
        other: PostgreSQL's character for a character of Python's codec.
        missing: characters that Python's codec lacks, by their bytes.
    """

    decoder: str
    encoder: str
    other: Mapping[str, str]
    missing: Mapping[bytes, str] = field(default_factory=dict)

    def as_codec(self, name: str) -> codecs.CodecInfo:
        return codecs.CodecInfo(self._encode, self._decode, name=name)

    def _decode(self, value: Any, errors: str = "strict") -> tuple[str, int]:
        data = bytes(value)
        text, _ = codecs.lookup(self.decoder).decode(data, self._handler(errors))
        return text.translate({ord(own): theirs for own, theirs in self.other.items()}), len(data)

    def _encode(self, text: str, errors: str = "strict") -> tuple[bytes, int]:
        own_by_other = {ord(own): "\ufffd" for own in self.other}  # not encodable
        own_by_other |= {ord(theirs): own for own, theirs in self.other.items()}
        data, _ = codecs.lookup(self.encoder).encode(text.translate(own_by_other), self._handler(errors))
        return data, len(text)

    def _handler(self, errors: str) -> str:
        """Return the name of an error handler that knows the missing characters; others go to `errors`."""
        name = f"postgresql.{self.encoder}.{errors}"

        def handle(error: UnicodeError) -> tuple[str | bytes, int]:
            if isinstance(error, UnicodeDecodeError):
                for end in (error.start + 2, error.start + 3):
                    if character := self.missing.get(error.object[error.start : end]):
                        return character, end
            elif isinstance(error, UnicodeEncodeError):
                for encoded, character in self.missing.items():
                    if character == error.object[error.start]:
                        return encoded, error.start + 1
            return codecs.lookup_error(errors)(error)

        codecs.register_error(name, handle)
        return name


_JIS_X_0208_AS_MICROSOFT: Final = {
    "\u301c": "\uff5e",
    "\u2016": "\u2225",
    "\u2212": "\uff0d",
    "\u00a2": "\uffe0",
    "\u00a3": "\uffe1",
    "\u00ac": "\uffe2",
    "\u00a6": "\uffe4",
}
_JIS_X_0213: Final = {"\u2015": "\u2014", "\u2985": "\uff5f", "\u2986": "\uff60"}


def _of_cp932(first: int, last: int) -> list[str]:
    """Return the characters of a range of code page 932, in order."""
    texts = [number.to_bytes(2, "big").decode("cp932", "ignore") for number in range(first, last + 1)]
    return [text for text in texts if len(text) == 1 and len(text.encode("cp932")) == 2]


def _of_euc_jp(first: int, last: int) -> list[bytes]:
    """Return the bytes of the characters of a range of EUC_JP, in order."""
    numbers = (number.to_bytes(3 if number > 0xFFFF else 2, "big") for number in range(first, last + 1))
    return [number for number in numbers if 0xA1 <= number[-1] <= 0xFE]


def _euc_jp() -> _Corrected:
    """Return EUC_JP with the characters of NEC and IBM, which code page 932 has in the same order."""
    nec = [*_of_euc_jp(0xADA1, 0xADBE), *_of_euc_jp(0xADC0, 0xADD6), *_of_euc_jp(0xADDF, 0xADFC)]
    ibm = [
        character
        for character in _of_cp932(0xFA40, 0xFC4B)
        if character not in _JIS_X_0208_AS_MICROSOFT.values()
        and (character == "№" or not character.encode("euc_jp", "ignore"))
    ]
    missing = dict(zip(nec, _of_cp932(0x8740, 0x879C), strict=True))
    missing |= dict(zip(_of_euc_jp(0x8FF3F3, 0x8FF4FE), ibm, strict=True))
    return _Corrected("euc_jp", "euc_jp", _JIS_X_0208_AS_MICROSOFT, missing)


def _euc_jis_2004() -> _Corrected:
    other = {**_JIS_X_0213, "\uffe3": "\u203e", "\uffe5": "\u00a5"}
    return _Corrected("euc_jis_2004", "euc_jis_2004", other)


def _euc_kr() -> _Corrected:
    """Return EUC_KR; Python's own codec joins four characters to one that PostgreSQL's does not have."""
    return _Corrected("cp949", "euc_kr", {}, {b"\xa2\xe8": "㉾"})


def _shift_jis_2004() -> _Corrected:
    return _Corrected("shift_jis_2004", "shift_jis_2004", {**_JIS_X_0213, "\u00a5": "\\", "\u203e": "~"})


_CORRECTED_BY_NAME: Final = {
    "postgresql_euc_jp": _euc_jp,
    "postgresql_euc_jis_2004": _euc_jis_2004,
    "postgresql_euc_kr": _euc_kr,
    "postgresql_shift_jis_2004": _shift_jis_2004,
}


def _find_corrected(name: str) -> codecs.CodecInfo | None:
    return _CORRECTED_BY_NAME[name]().as_codec(name) if name in _CORRECTED_BY_NAME else None


codecs.register(_find_corrected)


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

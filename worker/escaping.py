"""Escapes text from a database or a model, so that no character is invisible or breaks the line.

Characters that hide, reorder or control text become visible escapes. So does a `<` that could end the fence
around data. A worker escapes the rows that it writes as text; the front escapes all other untrusted text that
it shows (`pgmcp.untrusted`). This module imports nothing of this project.
"""

import re
from functools import cache

# Characters that a reader cannot see. Most have Unicode's property Default_Ignorable_Code_Point, such as the
# joiners, the bidirectional controls, and the tag characters and variation selectors that can carry hidden
# text. The others are the controls from U+007F on, the line separators, the interlinear annotations, and lone
# surrogates, which UTF-8 cannot encode. scripts/view/text.js has the same rules.
_INVISIBLE = (
    "\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff\ud800-\udfff"
)
# Words of these scripts are spelled with the two joiners (UAX #31, 2.3, contexts A1, A2 and B). A joiner is
# kept after a letter or virama of these scripts if such a letter follows or the word ends: Arabic, Syriac,
# NKo, Mandaic, the Indic scripts and Sinhala, Myanmar, Khmer, Mongolian; Tai Tham, Balinese and its
# neighbours, Javanese, Meetei Mayek; Hanifi Rohingya, Brahmi and its successors, Adlam.
_JOINED_LETTER = (
    "\u0620-\u065f\u066e-\u06d3\u06d5\u06ee-\u06ff\u0710-\u074a\u0750-\u077f\u07ca-\u07f5\u0840-\u085b\u0860-\u089f"
    "\u08a0-\u08ff\u0900-\u0dff\u1000-\u109f\u1780-\u17b3\u17b6-\u17d3\u1820-\u18aa\ufb50-\ufdff\ufe70-\ufefc"
    "\u1a20-\u1a7c\u1b00-\u1bf3\ua800-\ua82c\ua880-\ua8c5\ua980-\ua9c0\uaae0-\uaaf6\uabc0-\uabed"
    "\U00010d00-\U00010d27\U00011000-\U00011aff\U0001e900-\U0001e943"
)
# Persian, Urdu and Kurdish join their endings to foreign words, numbers and closing marks by U+200C.
_ARABIC_LETTER = "\u0620-\u064a\u066e-\u06d3\u06d5\u06ee-\u06ff\u0750-\u077f"
_WORD_END = r"[\s!-/:-@\[-`{-~\xab\xbb\u060c\u061b\u061f\u06d4\u0964\u2026]|\Z"
# Scripts that are written without spaces mark where a line may break: Thai, Lao, Myanmar, Khmer.
_UNSPACED_LETTER = "\u0e01-\u0e4e\u0e81-\u0ecd\u1000-\u109f\u1780-\u17b3\u17b6-\u17d3"
_EMOJI = "\u203c\u2049\u2122\u2139\u2190-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
_MONGOLIAN_LETTER = "\u1820-\u1878\u1880-\u18aa"
# Zero and operators that have a variant with U+FE00 (Unicode, StandardizedVariants.txt).
_MATHEMATICAL = (
    "0\u2205\u2229\u222a\u2268\u2269\u2272\u2273\u228a\u228b\u2293-\u2295\u2297\u229c\u22da\u22db"
    "\u2a3c\u2a3d\u2a9d\u2a9e\u2aac\u2aad\u2acb\u2acc"
)
_IDEOGRAPH = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
# U+034F keeps the order of combining marks, or keeps a mark from being read as part of a letter (Unicode 16,
# 23.2). It is kept between a letter or mark of Latin, Greek, Cyrillic, Hebrew, Arabic or Syriac and a mark.
_MARK = (
    "\u0300-\u034e\u0350-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a"
    "\u064b-\u065f\u0670\u0711\u0730-\u074a\u1ab0-\u1ac0\u1dc0-\u1dff"
)
_MARKED_LETTER = (
    "A-Za-z\xc0-\u02af\u0370-\u0481\u048a-\u052f\u05d0-\u05f2\u0620-\u064a\u066e-\u06d3\u0710-\u072f"
    "\u1e00-\u1fff"
)
# The parts of a Hangul syllable. The fillers U+115F and U+1160 stand for a missing part (Unicode 16, 18.6).
# Those of older encodings, U+3164 and U+FFA0, are in no composed syllable, and are always escaped.
_INITIAL = "\u1100-\u115e\ua960-\ua97c"
_VOWEL = "\u1161-\u11a7\ud7b0-\ud7c6"
_FINAL = "\u11a8-\u11ff\ud7cb-\ud7fb"
# Places where an invisible character is part of the spelling. Each pattern also consumes the visible
# character before it, so a second selector or joiner in a row is not matched, and is escaped.
_SPELLING = "|".join(
    (
        rf"[{_JOINED_LETTER}][\u200c\u200d](?=[{_JOINED_LETTER}]|{_WORD_END})",
        rf"[A-Za-z0-9)\]\xbb]\u200c(?=[{_ARABIC_LETTER}])|[{_ARABIC_LETTER}]\u200c(?=[0-9])",
        rf"[{_UNSPACED_LETTER}]\u200b(?=[{_UNSPACED_LETTER}])",
        # UTS #51, 2.4 and 2.5: presentation selectors, and U+200D between emoji.
        rf"[{_EMOJI}\xa9\xae](?:[\ufe0e\ufe0f](?:\u200d(?=[{_EMOJI}]))?|\u200d(?=[{_EMOJI}]))",
        r"[#*0-9]\ufe0f(?=\u20e3)",  # keycaps
        rf"[{_MATHEMATICAL}]\ufe00",
        # UTS #51, annex C: the flags of England, Scotland, Texas ...
        "\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f",
        # Unicode 16, 13.5: variants of Mongolian letters, and the separator before a final vowel.
        rf"[{_MONGOLIAN_LETTER}][\u180b-\u180d\u180f](?:[\u180e\u200c\u200d](?=[{_MONGOLIAN_LETTER}]))?",
        rf"[{_MONGOLIAN_LETTER}]\u180e(?=[{_MONGOLIAN_LETTER}])",
        # UTS #37: variants of ideographs, as in names of Japanese people and places.
        rf"[{_IDEOGRAPH}][\ufe00-\ufe02\U000e0100-\U000e011f]",
        rf"[{_MARKED_LETTER}{_MARK}]\u034f(?=[{_MARK}])",
        rf"[{_INITIAL}]\u1160|\u115f(?:[{_VOWEL}]|\u1160(?=[{_FINAL}]))",
    )
)
_FENCE_LOOK_ALIKE = r"<(?=\s*/?\s*[dD][aA][tT][aA]\b)"
_UNSAFE_IN_LINE = rf"({_SPELLING})|[\x00-\x1f\\{_INVISIBLE}]|{_FENCE_LOOK_ALIKE}"
_UNSAFE_IN_BLOCK = rf"({_SPELLING})|[\x00-\x08\x0b-\x1f{_INVISIBLE}]|{_FENCE_LOOK_ALIKE}"
_SUSPECT = rf"[\x00-\x1f<\\{_INVISIBLE}]"
_UNSEEN = rf"({_SPELLING})|[\x00-\x08\x0b-\x1f{_INVISIBLE}]"
_ESCAPE_BY_CHARACTER = {"\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t"}


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Compile a pattern when it is first needed: compiling is slow and must not delay the server's start."""
    return re.compile(pattern)


def escape_untrusted(text: str) -> str:
    r"""Return `text` safe for one line of output, readable and unambiguous.

    Newlines, tabs and backslashes become `\n`, `\t` and `\\`. Control, invisible and direction-changing
    characters become escapes such as `\u202e` and `\U000e0041`. A `<` that would begin a fence mark becomes
    `\u003c`. Everything else is unchanged.
    """
    return text if is_harmless(text) else _compiled(_UNSAFE_IN_LINE).sub(_escape, text)


def is_harmless(text: str) -> bool:
    """Return True only if `escape_untrusted` changes neither the text nor any part of it; False if unsure."""
    if text.isascii() and text.isprintable():
        return "\\" not in text and "<" not in text  # nearly every cell, four times as fast as the pattern
    # This pattern is eight times as fast as _UNSAFE_IN_LINE, which also reads the neighbours of a character.
    return not _compiled(_SUSPECT).search(text)


def escape_untrusted_block(text: str) -> str:
    """Return `text` safe for several lines of output, such as SQL; newlines, tabs and backslashes stay."""
    return _compiled(_UNSAFE_IN_BLOCK).sub(_escape, text)


def drop_invisible(text: str) -> str:
    """Return `text` without the characters that `escape_untrusted_block` escapes; `<` stays."""
    return _compiled(_UNSEEN).sub(lambda match: match[1] or "", text)


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    if match[1]:
        return character
    code = ord(character)
    default = f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
    return _ESCAPE_BY_CHARACTER.get(character, default)

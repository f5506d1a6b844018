# ruff: noqa: RUF001 - the Persian and Indic letters are the subject of tests
import unicodedata

import pytest

from pgmcp.untrusted import (
    drop_invisible,
    escape_untrusted,
    escape_untrusted_block,
    fence_lines,
    new_fence,
    shorten,
)


def test_ordinary_text_is_unchanged() -> None:
    text = "Zoë's 5 < 6 | naïve — 東京 עברית 😀 ❤️ a, b; {x} $1"

    assert escape_untrusted(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\r\tc", r"a\nb\r\tc"),
        (r"C:\new", r"C:\\new"),
        ("\x1b[31mred\x00", r"\u001b[31mred\u0000"),
        ("safe\u202egnp.exe", r"safe\u202egnp.exe"),
        ("pay\u200bpal", r"pay\u200bpal"),
        ("\U000e0041", r"\U000e0041"),
        ("line\u2028break", r"line\u2028break"),
        ("\ud83d", r"\ud83d"),
        ("\u0085", r"\u0085"),
        ("\u3164filler", r"\u3164filler"),
    ],
)
def test_characters_that_hide_reorder_or_break_text_become_visible_escapes(text: str, shown: str) -> None:
    assert escape_untrusted(text) == shown


SPELLINGS = (
    "می\u200cخواهم",
    "क्\u200dष",
    "ශ්\u200dරී",
    "👩\u200d💻",
    "🏳\ufe0f\u200d🌈",
    "👩🏽\u200d🚀",
    "👨\u200d👩\u200d👧",
    "❤\ufe0f\u200d🔥",
    "1\ufe0f\u20e3 ©\ufe0f ☎\ufe0e",
    "a ≨\ufe00 b, A ∩\ufe00 B, 0\ufe00",
    "🏴\u200d☠\ufe0f",
    "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "ᠠ\u180bᠨ\u180eᠠ",
    "葛\U000e0100飾",
    "അവന്\u200d വന്നു",  # a chillu at the end of a word
    "ه\u200d.ق",
    "کتاب\u200c ها",
    "PDF\u200cها",  # Persian: an ending after a foreign word, a number and closing marks
    "نسخه\u200c2",
    "5\u200cگانه",
    "(DNA)\u200cها",
    "«کتاب»\u200cها",
    "ភាសា\u200bខ្មែរ",
    "ไทย\u200bไทย",
    "ꦏ꧀\u200cꦏ",
    "ᬓ᭄\u200dᬓ",
    "𞤀\u200c𞤁",
    "u\u034f\u0308",  # a diaeresis that is not an umlaut, in German catalogues
    "\u05dc\u05b7\u034f\u05bd",  # biblical Hebrew: the order of two points
    "a\u0301\u034f\u0323\u034f\u0308",
    "\u1100\u1160",  # Hangul: an initial without a vowel
    "\u115f\u1161\u11a8",  # without an initial
    "\u115f\u1160\u11a8",  # a final alone
)


@pytest.mark.parametrize("text", SPELLINGS)
def test_an_invisible_character_that_words_need_stays(text: str) -> None:
    assert escape_untrusted(text) == text
    assert escape_untrusted_block(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "pay\u200cpal",
        "a\u200d",
        "\u200cمی",
        "می\u200c\u200cخواهم",
        "می\u200ca",
        "a\u200dی",
        "😀\u200d",
        "😀\u200c😀",
    ],
)
def test_a_joiner_that_no_word_needs_becomes_visible(text: str) -> None:
    assert not {"\u200c", "\u200d"} & set(escape_untrusted(text))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\ufe0f", r"a\ufe0f"),
        ("1\ufe0f", r"1\ufe0f"),
        ("1\ufe00", r"1\ufe00"),
        ("≨\ufe00\ufe00", "≨\ufe00" + r"\ufe00"),
        ("≨\ufe01", "≨" + r"\ufe01"),
        ("❤\ufe0f\ufe0f", "❤\ufe0f" + r"\ufe0f"),
        ("😀\U000e0100", "😀" + r"\U000e0100"),
        ("葛\U000e0100\U000e0101", "葛\U000e0100" + r"\U000e0101"),
        ("葛\U000e01ef", "葛" + r"\U000e01ef"),
        ("🏴\U000e0068\U000e0069", "🏴" + r"\U000e0068\U000e0069"),
        ("pay\u034fpal", r"pay\u034fpal"),
        ("u\u034f\u034f\u0308", r"u\u034f\u034f" + "\u0308"),
        ("\u034f\u0308", r"\u034f" + "\u0308"),
        ("a\u1160", r"a\u1160"),
        ("\u115f\u1160", r"\u115f\u1160"),
        ("\u1100\u1160\u1160", "\u1100\u1160" + r"\u1160"),
        ("\u3164\u3131\u314f\u3164", r"\u3164" + "\u3131\u314f" + r"\u3164"),
        ("\uffa0", r"\uffa0"),
        ("a\u180bᠠ\u180b\u180b", r"a\u180b" + "ᠠ\u180b" + r"\u180b"),
    ],
)
def test_a_selector_or_tag_that_no_emoji_needs_becomes_visible(text: str, shown: str) -> None:
    assert escape_untrusted(text) == shown
    assert escape_untrusted_block(text) == shown


def test_dropping_invisible_characters_keeps_those_that_spell_words() -> None:
    assert drop_invisible("می\u200cخواهم\u202e a\u200b</data-1>\n\\d\x1b") == "می\u200cخواهم a</data-1>\n\\d"


def test_an_escape_in_the_data_differs_from_an_added_one() -> None:
    assert escape_untrusted(r"\n") != escape_untrusted("\n")


def test_no_control_or_separator_of_unicode_passes() -> None:
    dangerous = [
        chr(code) for code in range(0x11_0000) if unicodedata.category(chr(code)) in {"Cc", "Zl", "Zp"}
    ]

    assert [character for character in dangerous if escape_untrusted(character) == character] == []


def test_no_bidirectional_control_passes() -> None:
    controls = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"

    assert not set(controls) & set(escape_untrusted(controls))


@pytest.mark.parametrize(
    "mark", ["</data-7f3a>", "<data-7f3a>", "< / DATA-7f3a>", "<\t/data-7f3a>", "</data>"]
)
def test_a_value_cannot_hold_a_mark_of_the_fence(mark: str) -> None:
    fenced = fence_lines([escape_untrusted(mark)], "7f3a")

    assert fenced.startswith("<data-7f3a>\n\\u003c")
    assert fenced.count("<") == 2


def test_a_block_keeps_its_lines_and_backslashes_but_nothing_invisible() -> None:
    assert escape_untrusted_block("select '\\d'\n\t-- \u202ex</data-1>") == (
        "select '\\d'\n\t-- \\u202ex\\u003c/data-1>"
    )


def test_a_shortened_text_has_the_length_asked_for_and_says_so() -> None:
    assert shorten("abcdef", 4) == "abc…"
    assert shorten("abcd", 4) == "abcd"


@pytest.mark.parametrize(
    "one",
    ["👩‍💻", "👨‍👩‍👧‍👦", "👍🏽", "❤️", "🇩🇪", "e\u0301", "क्‍ष", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"],
)
def test_a_visible_character_of_several_code_points_is_not_cut(one: str) -> None:
    text = f"ab{one}{one}cd"

    shortened = {shorten(text, length) for length in range(3, len(text))}

    assert shortened == {"ab…", f"ab{one}…", f"ab{one}{one}…"}


def test_a_letter_with_very_many_marks_is_cut() -> None:
    assert len(shorten("a" + "\u0301" * 500, 100)) == 100


def test_no_two_results_share_a_fence() -> None:
    assert len({new_fence() for _ in range(100)}) == 100

"""An entry is added and removed, and nothing else in the file changes."""

import json
import random
import textwrap

import pytest

from pgmcp.cli.install.edit import Slot, find_entry, remove_entry, set_entry
from pgmcp.cli.install.jsonc import parse

STRICT = Slot("mcpServers", "pgmcp", takes_comments=False)
RELAXED = Slot("servers", "pgmcp", takes_comments=True)
ENTRY = {"command": "/opt/python", "args": ["-P", "-m", "pgmcp"]}


def lines(text: str) -> str:
    return textwrap.dedent(text).lstrip("\n")


@pytest.mark.parametrize("text", ["", " \n", "\ufeff"])
def test_an_empty_file_becomes_one_with_the_entry(text: str) -> None:
    after = set_entry(text, STRICT, ENTRY)

    assert json.loads(after) == {"mcpServers": {"pgmcp": ENTRY}}
    assert after.endswith("}\n")


def test_an_entry_is_added_after_the_others_in_their_layout() -> None:
    before = lines("""
        {
            "theme": "dark",
            "mcpServers": {
                "files": {"command": "npx", "args": ["-y", "files"]}
            },
            "last": 1.0
        }
    """)

    after = set_entry(before, STRICT, {"command": "/opt/python"})

    assert after == lines("""
        {
            "theme": "dark",
            "mcpServers": {
                "files": {"command": "npx", "args": ["-y", "files"]},
                "pgmcp": {
                    "command": "/opt/python"
                }
            },
            "last": 1.0
        }
    """)


def test_a_file_without_servers_gets_them_last() -> None:
    after = set_entry('{\n\t"theme": "dark"\n}\n', STRICT, {"command": "x"})

    assert after == (
        '{\n\t"theme": "dark",\n\t"mcpServers": {\n\t\t"pgmcp": {\n\t\t\t"command": "x"\n\t\t}\n\t}\n}\n'
    )


def test_an_entry_in_an_empty_object_gets_lines_of_its_own() -> None:
    after = set_entry('{\n  "mcpServers": {}\n}', STRICT, {"command": "x"})

    assert after == '{\n  "mcpServers": {\n    "pgmcp": {\n      "command": "x"\n    }\n  }\n}'


def test_a_file_of_one_line_stays_one_line() -> None:
    after = set_entry('{"a": 1, "mcpServers": {"b": {}}}', STRICT, {"command": "x"})

    assert after == '{"a": 1, "mcpServers": {"b": {}, "pgmcp": {"command": "x"}}}'


def test_windows_line_ends_stay() -> None:
    after = set_entry('{\r\n  "mcpServers": {\r\n  }\r\n}\r\n', STRICT, ENTRY)

    assert after.count("\n") == after.count("\r\n")


def test_comments_and_trailing_commas_stay() -> None:
    before = lines("""
        {
          // what we use
          "servers": {
            "files": { "command": "npx" }, // the files
            /* "old": {}, */
          },
          "inputs": [], // none
        }
    """)

    after = set_entry(before, RELAXED, {"command": "x"})

    assert after == lines("""
        {
          // what we use
          "servers": {
            "files": { "command": "npx" }, // the files
            /* "old": {}, */
            "pgmcp": {
              "command": "x"
            },
          },
          "inputs": [], // none
        }
    """)
    assert remove_entry(after, RELAXED) == before


def test_a_comma_goes_before_the_comment_that_follows_a_value() -> None:
    after = set_entry('{\n  "servers": {\n    "a": {} // mine\n  }\n}', RELAXED, {"command": "x"})

    assert '"a": {}, // mine\n    "pgmcp"' in after


def test_setting_the_same_entry_again_changes_nothing() -> None:
    once = set_entry('{"mcpServers": {}}', STRICT, ENTRY)

    assert set_entry(once, STRICT, ENTRY) == once


def test_only_different_keys_of_an_entry_are_changed() -> None:
    before = lines("""
        {
          "servers": {
            "pgmcp": {
              "disabled": false, // mine
              "command": "/old/python",
              "args": ["-P", "-m", "pgmcp"], // as it was
              "env": { "A": "1" }
            }
          }
        }
    """)

    after = set_entry(before, RELAXED, {**ENTRY, "env": {"A": "1"}})

    assert after == before.replace("/old/python", "/opt/python")


def test_a_key_that_an_entry_lacks_is_added_to_it() -> None:
    after = set_entry('{"mcpServers": {"pgmcp": {"command": "x"}}}', STRICT, {"command": "x", "args": []})

    assert after == '{"mcpServers": {"pgmcp": {"command": "x", "args": []}}}'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"mcpServers": {"pgmcp": {}}}', '{"mcpServers": {}}'),
        ('{"mcpServers": {"a": 1, "pgmcp": {}}}', '{"mcpServers": {"a": 1}}'),
        ('{"mcpServers": {"pgmcp": {}, "a": 1}}', '{"mcpServers": { "a": 1}}'),
        ('{"mcpServers": {"a": 1, "pgmcp": {}, "b": 2}}', '{"mcpServers": {"a": 1, "b": 2}}'),
        ('{"mcpServers": {"pgmcp": {}, "a": 1, "pgmcp": {}}}', '{"mcpServers": { "a": 1}}'),
        ('{\n  "mcpServers": {\n    "pgmcp": {}\n  }\n}', '{\n  "mcpServers": {}\n}'),
        ('{"other": 1}', '{"other": 1}'),
        ("", ""),
    ],
)
def test_an_entry_is_removed(before: str, after: str) -> None:
    assert remove_entry(before, STRICT) == after


def test_a_comment_before_a_removed_entry_does_not_swallow_what_follows() -> None:
    after = remove_entry('{"servers": { // ours\n "pgmcp": {}, "a": {} }}', RELAXED)

    assert parse(after, takes_comments=True).value == {"servers": {"a": {}}}


def test_an_entry_is_found() -> None:
    assert find_entry('{"mcpServers": {"pgmcp": {"command": "x"}}}', STRICT) == {"command": "x"}
    assert find_entry('{"mcpServers": {}}', STRICT) is None
    assert find_entry("", STRICT) is None


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[]", "line 1, column 1"),
        ('{"mcpServers": []}', "line 1, column 16"),
        ('{"mcpServers": {\n"pgmcp": null}}', "line 2, column 10"),
    ],
)
def test_a_value_of_another_type_than_an_object_is_refused_with_its_place(text: str, place: str) -> None:
    with pytest.raises(ValueError, match=place):
        set_entry(text, STRICT, ENTRY)


@pytest.mark.parametrize("seed", range(100))
def test_any_file_keeps_its_other_content_and_is_restored_by_a_removal(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - it makes test data
    servers = {f"server {number}": some_value(chance, 2) for number in range(chance.randint(1, 3))}
    document = {"a": some_value(chance, 3), "servers": servers, "z": some_value(chance, 2)}
    text = write_somehow(document, chance)

    after = set_entry(text, RELAXED, ENTRY)

    expected = {**document, "servers": {**servers, "pgmcp": ENTRY}}
    assert parse(after, takes_comments=True).value == expected
    assert remove_entry(after, RELAXED) == text


def some_value(chance: random.Random, depth: int) -> object:
    texts = ["", "ü\n", 'a "quoted" \\ one', "// no comment", "}{", 0, -1.5, True, None]
    match chance.randrange(3) if depth else 2:
        case 0:
            return {f"k{number}": some_value(chance, depth - 1) for number in range(chance.randrange(4))}
        case 1:
            return [some_value(chance, depth - 1) for _ in range(chance.randrange(4))]
        case _:
            return chance.choice(texts)


def write_somehow(document: object, chance: random.Random) -> str:
    """Write JSON in one of many layouts, with comments between its parts in some."""
    indent = chance.choice([None, 0, 1, 2, 4, "\t"])
    text = json.dumps(document, indent=indent, ensure_ascii=chance.random() < 0.5)
    if indent is not None and chance.random() < 0.5:
        text = "".join(f"{line}{chance.choice(['', ' // c', ' /* } */'])}\n" for line in text.splitlines())
    return text.replace("\n", "\r\n") if chance.random() < 0.3 else text

from pathlib import Path

import pytest

from pgmcp.errors import SettingsError
from pgmcp.generation.context_edit import add_verified
from pgmcp.generation.context_file import load_context
from pgmcp.generation.verified import VerifiedQuestion
from testing.machine import full_disk

NEW = VerifiedQuestion(
    'How many "big" orders: today?', "SELECT count(*)\n  FROM orders\nWHERE x = '# no comment'"
)
FULL = """\
# ours
databases:
  main:
    verified:
      - question: one   # first
        sql: |
          SELECT 1

          -- more


    terms:   # after it
      a: b
  other:
    terms: {c: d}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "context.yaml"


@pytest.mark.parametrize(
    "text",
    [
        FULL,
        "",
        "# only a comment\n",
        "databases:\n  other:\n    terms:\n      a: b\n# end\n",
        "databases:\n    main:\n        terms:\n            a: b",
        "databases:\n  main:\n    verified:\n    - question: one\n      sql: SELECT 1\n    notes: {a: b}\n",
    ],
)
def test_a_question_is_added_and_everything_else_stays(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")
    before = load_context(path)

    add_verified(path, "main", NEW)

    after = load_context(path)
    assert after["main"].verified[-1] == NEW
    assert {line for line in text.splitlines() if line} <= set(path.read_text("utf-8").splitlines())
    assert {name: context.terms for name, context in before.items()}.items() <= {
        name: context.terms for name, context in after.items()
    }.items()


def test_a_second_question_is_added_after_the_first(path: Path) -> None:
    path.write_text(FULL, encoding="utf-8")

    add_verified(path, "main", NEW)
    add_verified(path, "main", VerifiedQuestion("another", "SELECT 2"))

    assert [each.question for each in load_context(path)["main"].verified] == ["one", NEW.question, "another"]


@pytest.mark.parametrize(
    "text",
    [
        "databases: {main: {terms: {a: b}}}\n",
        "databases:\n  main:\n    verified: []\n",
        "databases:\n  main:\n",
    ],
)
def test_a_file_without_a_place_for_new_lines_is_left_unchanged(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")

    with pytest.raises(SettingsError, match=r"nothing can be added|not a list of lines"):
        add_verified(path, "main", NEW)

    assert path.read_text("utf-8") == text
    assert list(path.parent.iterdir()) == [path]


def test_a_question_that_is_verified_already_is_refused(path: Path) -> None:
    path.write_text(FULL, encoding="utf-8")

    with pytest.raises(SettingsError, match="already verified"):
        add_verified(path, "main", VerifiedQuestion("ONE?", "SELECT 2"))


def test_a_full_disk_leaves_no_part_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "context.yaml"
    file.write_text("# mine\n", encoding="utf-8")
    with full_disk(10), pytest.raises(SettingsError, match="File too large"):
        add_verified(file, "shop", VerifiedQuestion("How many?", "select 1"))

    assert list(tmp_path.iterdir()) == [file]
    assert file.read_text("utf-8") == "# mine\n"

"""No text ends the process; each is accepted or refused.

The validator runs in a child process, on a thread with a small stack. It reads every attack, texts just
inside each bound, and random texts. Statements that a grammar writes are fuzzed for ten seconds here, and for
longer by `uv run python -m scripts.fuzz_validator`.
"""

import json
import random
import subprocess
import sys
from bisect import bisect_left

from pgmcp.errors import SqlRejectedError
from pgmcp.validation.bounds import trim_and_bound
from testing.statements import attacks, honest_statements

_STACK_BYTES = 256 * 1024

_CHILD = """
import json, sys, threading
from pgmcp.errors import SqlRejectedError
from pgmcp.validation import FunctionPolicy, validate

def run():
    for line in sys.stdin:
        try:
            validate(json.loads(line), functions=FunctionPolicy())
        except SqlRejectedError:
            pass
    print("alive", flush=True)

threading.stack_size(int(sys.argv[1]))
thread = threading.Thread(target=run)
thread.start()
thread.join()
"""


def _last_words(texts: list[str]) -> str:
    """Validate the texts in a child process; return its output, or its exit code and standard error."""
    child = subprocess.run(
        [sys.executable, "-c", _CHILD, str(_STACK_BYTES)],
        input="\n".join(map(json.dumps, texts)),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    return child.stdout or f"exit {child.returncode}: {child.stderr[-2000:]}"


# Beginning, repeated part, middle, part that closes each repetition, end.
_PATTERNS = (
    ("select ", "(", "1", ")", ""),
    ("select 1", " + 1", "", "", ""),
    ("select 1", "::int", "", "", ""),
    ("select ", "- ", "1", "", ""),
    ("select ", "not ", "true", "", ""),
    ("select 1", " at time zone 'x'", "", "", ""),
    ("select 'a'", ' collate "C"', "", "", ""),
    ("select 1", " is null", "", "", ""),
    ("select true", " and true", "", "", ""),
    ("select true", " or a between 1 and not b", "", "", ""),
    ("select 1 where x between 1 and ", "not x between 1 and ", "1", "", ""),
    ("select 1 where ", "1 = not ", "1", "", ""),
    ("select 1 where 1", " like 'a' escape 'b' and not 1", "", "", ""),
    ("select 1", " union select 1", "", "", ""),
    ("select 1", " union (select 1", "", ")", ""),
    ("select * from t", " cross join t", "", "", ""),
    ("select * from t", " join t", "", " on true", ""),
    ("select * from ", "(t join ", "t", " on true)", ""),
    ("select ", "case when true then ", "1", " end", ""),
    ("select ", "case when a.end then ", "1", " end", ""),
    ("select ", "case ", "1", " when 1 then 1 end", ""),
    ("select ", "f(", "1", ")", ""),
    ("select ", "array[", "1", "]", ""),
    ("select a", "[1]", "", "", ""),
    ("select a", "[a", "", "]", ""),
    ("select (a)", ".b", "", "", ""),
    ("select ", "(select ", "1", ")", ""),
    ("select * from ", "(select * from ", "t", ") q", ""),
    ("select 1 where ", "exists (select 1 where ", "true", ")", ""),
    ("select 1 where ", "1 in (select 1 where ", "true", ")", ""),
    ("", "with a as (", "select 1", ") select 1", ""),
    ("select ", "json_object('a': ", "1", ")", ""),
    ("select ", "json_value('{}', '$' default ", "1", " on empty)", ""),
    ("select ", "xmlelement(name a, ", "1", ")", ""),
    ("select ", "sum(1) over (order by ", "1", ")", ""),
    ("select ", "count(*) filter (where ", "true", ")", ""),
    ("select ", "row(1, ", "1", ")", ""),
    ("select ", "cast(", "1", " as int)", ""),
    ("select 1::", "numeric(", "1", ")", ""),
    ("select ", "date (", "1", ")", ""),
    ("select ", "substring(", "'a'", " from 1)", ""),
    ("select 1 in (", "1, ", "1", "", ")"),
    ("values (1)", ", (1)", "", "", ""),
    ("select 1", ", 1", "", "", ""),
    ("select 'a'", " || $$a$$", "", "", ""),
    ("select 1 ", "/* ", "", " */", ""),
    ("select '{}'::jsonb", " -> 'a'", "", "", ""),
    ("select ", "grouping(", "1", ")", ""),
    ("select 1 group by ", "rollup (", "1", ")", ""),
    ("select 1 from a ", "tablesample bernoulli (", "1", ")", ""),
)

_WORDS = """
    select from where and or not union all values table with as ( ) ( ) [ ] , ; . :: + - * / = < >
    || -> case when then else end join on using group by order having limit offset in is null
    between like exists any array row cast int date interval '1' 1 1.5 $$x$$ $1 "x" a b t f filter
    over partition within json_table columns nested path '$' xmltable passing lateral explain
    analyze show into for update delete insert returning recursive E'\\'' U&'x' /* */ -- collate at
    time zone distinct default operator only tablesample window rows preceding current \x01 é \u2028
    { } ? @ # % ^ & ~ !
""".split()  # noqa: SIM905 - a hundred words are easier to read in lines


def _longest_accepted(before: str, repeated: str, middle: str, closing: str, after: str) -> str:
    def text(times: int) -> str:
        return before + repeated * times + middle + closing * times + after

    def is_refused(times: int) -> bool:
        try:
            trim_and_bound(text(times))
        except SqlRejectedError:
            return True
        return False

    return text(bisect_left(range(1, 64 * 1024), True, key=is_refused))


def test_every_attack_leaves_the_process_alive() -> None:
    assert _last_words(attacks()) == "alive\n"


def test_the_deepest_and_longest_texts_that_the_bounds_accept_leave_the_process_alive() -> None:
    texts = [_longest_accepted(*pattern) for pattern in _PATTERNS]

    assert _last_words(texts) == "alive\n"


def test_random_words_leave_the_process_alive() -> None:
    chance = random.Random(4)  # noqa: S311 - the same texts in every run
    texts = [" ".join(chance.choices(_WORDS, k=chance.randint(1, 60))) for _ in range(4000)]

    assert _last_words(texts) == "alive\n"


def test_harmless_statements_with_changed_words_leave_the_process_alive() -> None:
    chance = random.Random(4)  # noqa: S311 - the same texts in every run
    texts = []
    for sql in honest_statements() * 4:
        words = sql.split(" ")
        for _ in range(chance.randint(1, 3)):
            words[chance.randrange(len(words))] = chance.choice([*words, *_WORDS, ""])
        texts.append(" ".join(words))

    assert _last_words(texts) == "alive\n"


def test_a_few_seconds_of_fuzzing_find_nothing() -> None:
    command = [sys.executable, "-m", "scripts.fuzz_validator", "--seconds", "4", "--seed", "4"]

    found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)

    assert found.returncode == 0, found.stdout + found.stderr

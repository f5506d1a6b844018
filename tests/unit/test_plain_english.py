"""A short list of words that a stranger has to decipher, and what to write instead.

The list is narrow: each word was once frequent in this repository, none is a term of PostgreSQL, MCP or
Python, and each has a plain replacement. CONTRIBUTING.md has the rule; this test only prevents their return.
"""

import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_FILES = sorted(
    file
    for pattern in (
        "pgmcp/**/*.py",
        "worker/**/*.py",
        "scripts/**/*.py",
        "testing/**/*.py",
        "tests/**/*.py",
        "docs/*.md",
        "*.md",
        ".env.example",
    )
    for file in _ROOT.glob(pattern)
    if file != Path(__file__)
)

_REPLACEMENT_BY_WORD = {
    r"anew": "again, or the verb with re-: 'read again', 'restart'; 'anew' is archaic",
    r"mend(s|ed|ing)?": "repair, fix or correct; 'mend' is for clothes",
    r"whoever|whomever": "name the actor: the caller, the longest waiter, anyone who",
    r"[Tt]ell whether": "Return whether; functions return, they do not tell",
    r"of ours": "own, or pgmcp's; the reader is not one of us",
    r"at hand": "cached, current, or nothing",
    r"[Ww]ish(es|ed)?": "options, request; programs have no wishes",
    r"[Nn]eutrali[sz]\w*": "escape; the function is escape_untrusted",
    r"[Cc]ures?": "hint, solution; errors are not diseases",
    r"[Ee]verybody": "name the group: all callers, other clients, all roles",
    r"be(en)? had": "be available, be fetched; 'can be had' is archaic",
    r"(held|hold|holds) against": "compared with, checked against",
    r"([Tt]old|[Tt]ells?) apart": "distinguish, differ",
    r"[Tt]ells? of": "report, show, describe",
    r"behind \w+ back": "without its knowledge, in the background",
    r"what came of": "the result or the outcome of",
    r"[Dd]oubt(s|ed)?(?! about)": "mismatch, refusal or uncertainty, whichever it is",
    r"(?<![Tt]here )(is|are|was|were) no (?!longer|more|other|such)[a-z]+": "'is not a': easier to read",
    r"(is|are) none of": "'is not one of'",
    r"lately": "recently",
    r"([Aa]nother|[Oo]ther) [a-z-]+ than": "'a … other than': 'other' and 'than' belong together",
}
_PHRASES_THAT_STAY = re.compile(r"(?i)without doubt|in doubt")


@pytest.mark.parametrize("word", _REPLACEMENT_BY_WORD)
def test_a_private_word_does_not_come_back(word: str) -> None:
    pattern = re.compile(rf"\b(?:{word})\b")
    found = [
        f"{file.relative_to(_ROOT)}:{number}: {line.strip()}"
        for file in _FILES
        for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1)
        if pattern.search(_PHRASES_THAT_STAY.sub("", line))
    ]

    assert not found, f"write instead: {_REPLACEMENT_BY_WORD[word]}\n" + "\n".join(found)

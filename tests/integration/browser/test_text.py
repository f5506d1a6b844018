"""The result view shows invisible characters by the same rule as text answers."""

import json
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from pgmcp.untrusted import escape_untrusted

_SOURCE = Path(__file__).parents[3] / "scripts" / "view" / "text.js"
_PROGRAM = """
import { readFileSync } from 'node:fs';
const { plain } = await import(process.argv[1]);
console.log(JSON.stringify(JSON.parse(readFileSync(0, 'utf8')).map((text) => plain(text))));
"""
_CHARACTERS = (
    "a)»بیक्ළᠠ葛1©❤👩🏽🏴💻\u200b\u200c\u200d\u200e\u202e\u180b\u180e\u180f\ufe00\ufe0e\ufe0f\u20e3"
    "u\u0308\u05dc\u05bd\u034f\u1100\u115f\u1160\u1161\u11a8\u3164"
    "\U000e0067\U000e0062\U000e0065\U000e007f\U000e0100\U000e01ef\u00ad\n\x1b"
)


def test_view_and_text_answers_escape_the_same_characters(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not on PATH")
    for file in (_SOURCE, _SOURCE.with_name("dom.js")):
        shutil.copyfile(file, tmp_path / file.name)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    chance = random.Random(7)  # noqa: S311 - the same texts in every run
    texts = ["".join(chance.choices(_CHARACTERS, k=6)) for _ in range(20_000)]
    texts += [
        chr(code) for code in range(0x11_0000) if not 0xD800 <= code < 0xE000 and chr(code) not in "\\<"
    ]

    run = subprocess.run(
        [node, "--input-type=module", "-e", _PROGRAM, (tmp_path / "text.js").as_uri()],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=True,
    )

    shown = json.loads(run.stdout)
    assert [text for text, each in zip(texts, shown, strict=True) if escape_untrusted(text) != each] == []

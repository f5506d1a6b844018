"""The shown change: pgmcp's entry without its secrets, and only the keys of other entries."""

import json

from pgmcp.cli.install.edit import Slot, set_entry
from pgmcp.cli.install.show import render_change

SLOT = Slot("mcpServers", "pgmcp", takes_comments=False)
URL = "postgresql://reader:Quagga-1@db.example.com/shop"
OTHERS = json.dumps(
    {
        "mcpServers": {"github": {"args": ["--key", "Okapi-2"], "env": {"GITHUB_TOKEN": "Okapi-3"}}},
        "history": ["what a person asked"],
    },
    indent=2,
)


def change(before: str, variables: dict[str, str]) -> str:
    after = set_entry(before, SLOT, {"command": "/opt/python", "env": variables})
    return render_change(before, after, SLOT, "config.json")


def test_our_entry_is_shown_with_its_passwords_left_out() -> None:
    shown = change(
        "", {"PG_MCP_DATABASE_URL": URL, "PG_MCP_OPENAI_API_KEY": "Quagga-2", "LOG_LEVEL": "DEBUG"}
    )

    assert '+        "PG_MCP_DATABASE_URL": "postgresql://reader:***@db.example.com/shop",' in shown
    assert '"PG_MCP_OPENAI_API_KEY": "***"' in shown
    assert '"LOG_LEVEL": "DEBUG"' in shown
    assert "Quagga" not in shown


def test_no_value_of_another_entry_is_shown() -> None:
    for text in (OTHERS, json.dumps(json.loads(OTHERS))):
        shown = change(text, {})

        assert "Okapi" not in shown
        assert "what a person asked" not in shown
        assert '"/opt/python"' in shown


def test_a_changed_password_is_shown_as_changed() -> None:
    before = set_entry("", SLOT, {"command": "/opt/python", "env": {"PG_MCP_DATABASE_URL": URL}})

    shown = change(before, {"PG_MCP_DATABASE_URL": URL.replace("Quagga-1", "Quagga-2")})

    assert (
        '-        "PG_MCP_DATABASE_URL": "postgresql://reader:***@db.example.com/shop (different)"' in shown
    )
    assert '+        "PG_MCP_DATABASE_URL": "postgresql://reader:***@db.example.com/shop"' in shown
    assert "Quagga" not in shown


def test_a_url_in_the_arguments_of_an_older_entry_is_left_out() -> None:
    before = json.dumps({"mcpServers": {"pgmcp": {"command": "x", "args": ["serve", URL]}}}, indent=2)

    shown = render_change(before, '{"mcpServers": {}}', SLOT, "config.json")

    assert '"serve"' in shown
    assert "Quagga" not in shown


def test_without_a_change_nothing_is_shown() -> None:
    assert render_change(OTHERS, OTHERS, SLOT, "config.json") == ""

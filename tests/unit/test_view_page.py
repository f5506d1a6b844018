"""The content of the built page, its policy and size, and the licences of its parts."""

import re

import pytest

from pgmcp.view.feature import read_result_view
from scripts.build_view import LICENSES, SOURCE

MARKUP_OR_CODE_FROM_TEXT = (
    "innerHTML",
    "outerHTML",
    "insertAdjacentHTML",
    "document.write",
    "createContextualFragment",
    "DOMParser",
    "srcdoc",
)
MAX_PAGE_BYTES = 1_000_000


@pytest.mark.parametrize("name", MARKUP_OR_CODE_FROM_TEXT)
def test_the_page_never_makes_markup_of_text(name: str) -> None:
    assert name not in read_result_view()


@pytest.mark.parametrize(
    "name", ["eval(", "new Function", "fetch(", "XMLHttpRequest", "WebSocket", "localStorage"]
)
def test_our_own_source_evaluates_no_text_uses_no_network_and_stores_nothing(name: str) -> None:
    assert [path.name for path in SOURCE.glob("*.js") if name in path.read_text("utf-8")] == []


def test_the_page_allows_itself_nothing_but_its_own_script_and_style() -> None:
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', read_result_view())

    assert found is not None
    directives = dict(directive.split(" ", 1) for directive in found[1].split("; "))
    assert {name: value for name, value in directives.items() if not value.startswith("'sha256-")} == {
        "default-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    assert set(directives) >= {"script-src", "style-src"}


def test_the_page_has_addresses_of_three_hosts_only() -> None:
    addresses = set(re.findall(r"https?://[^\s\"'`)]+", read_result_view()))

    # XML namespaces and Vega's schema URLs are identifiers; nothing loads them.
    assert {re.sub(r"(//[^/]+/).*", r"\1", address) for address in addresses} <= {
        "http://www.w3.org/",
        "https://vega.github.io/",
        "https://github.com/",
    }


def test_the_page_is_small_enough_for_a_resource() -> None:
    assert len(read_result_view().encode()) < MAX_PAGE_BYTES


def test_every_licence_allows_this_use() -> None:
    licenses = re.findall(r"^[\w@/.-]+ [\d.]+ \((.+)\)$", LICENSES.read_text("utf-8"), re.MULTILINE)

    assert len(licenses) > 20
    assert set(licenses) <= {"BSD-3-Clause", "ISC", "MIT", "Apache-2.0"}

import pytest

from scripts.build_view import LICENSES, NODE_MODULES, PAGE, build


def test_the_committed_page_is_what_its_source_builds() -> None:
    if not (NODE_MODULES / "esbuild").is_dir():
        pytest.skip("npm packages are missing: python scripts/build_view.py --install")

    view = build()

    assert view.page == PAGE.read_text("utf-8"), "run python scripts/build_view.py"
    assert view.licenses == LICENSES.read_text("utf-8"), "run python scripts/build_view.py"

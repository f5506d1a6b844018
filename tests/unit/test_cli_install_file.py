"""A host's file is replaced atomically, with a backup."""

import os
import stat
from pathlib import Path

import pytest

from pgmcp.cli.install.file import read_host_file, replace_host_file
from pgmcp.errors import SettingsError
from testing.machine import full_disk

posix_only = pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "mcp.json"
    file.write_bytes(b'\xef\xbb\xbf{\r\n  "\xc3\xbc": 1\r\n}')
    return file


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_read_without_changes(path: Path) -> None:
    assert read_host_file(path).text == '\ufeff{\r\n  "ü": 1\r\n}'


def test_a_file_is_replaced_and_a_backup_is_kept(path: Path) -> None:
    before = path.read_bytes()

    backup = replace_host_file(read_host_file(path), "{}\r\n", is_private=False)

    assert path.read_bytes() == b"{}\r\n"
    assert backup is not None
    assert backup.parent == path.parent
    assert backup.read_bytes() == before
    assert sorted(found.name for found in path.parent.iterdir()) == ["mcp.json", "mcp.json.bak1"]


def test_no_backup_is_ever_overwritten(path: Path) -> None:
    path.with_name("mcp.json.bak1").write_text("of another program")

    first = replace_host_file(read_host_file(path), "1", is_private=False)
    second = replace_host_file(read_host_file(path), "2", is_private=False)

    assert path.with_name("mcp.json.bak1").read_text() == "of another program"
    assert first == path.with_name("mcp.json.bak2")
    assert second == path.with_name("mcp.json.bak3")
    assert second.read_text() == "1"


@posix_only
def test_a_new_file_is_private_and_its_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "Claude" / "config.json"

    backup = replace_host_file(read_host_file(path), "{}", is_private=False)

    assert backup is None
    assert path.read_text() == "{}"
    assert mode_of(path) == 0o600


@posix_only
@pytest.mark.parametrize(("mode", "is_private", "expected"), [(0o644, False, 0o644), (0o640, True, 0o600)])
def test_the_file_mode_stays_unless_a_secret_is_written(
    path: Path, mode: int, is_private: bool, expected: int
) -> None:
    path.chmod(mode)
    file = read_host_file(path)

    backup = replace_host_file(file, "{}", is_private=is_private)

    assert file.is_open_to_others
    assert mode_of(path) == expected
    assert backup is not None
    assert mode_of(backup) == mode


def test_a_link_stays_a_link(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "elsewhere" / "mcp.json"
    link.parent.mkdir()
    link.symlink_to(path)

    backup = replace_host_file(read_host_file(link), "{}", is_private=False)

    assert link.is_symlink()
    assert path.read_text() == "{}"
    assert backup is not None
    assert backup.parent == path.parent


def test_a_file_that_was_changed_meanwhile_is_not_overwritten(path: Path) -> None:
    file = read_host_file(path)
    path.write_text("by the host itself")

    with pytest.raises(SettingsError, match="has changed since it was read"):
        replace_host_file(file, "{}", is_private=False)

    assert path.read_text() == "by the host itself"
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_was_created_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    file = read_host_file(path)
    path.write_text("by the host itself")

    with pytest.raises(SettingsError, match="has changed since it was read"):
        replace_host_file(file, "{}", is_private=False)

    assert path.read_text() == "by the host itself"


def test_a_file_that_is_not_text_is_refused(path: Path) -> None:
    path.write_bytes(b"\xff\xfe{}")

    with pytest.raises(SettingsError, match="is not UTF-8"):
        read_host_file(path)


def test_a_folder_instead_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: is a directory"):
        read_host_file(tmp_path)


def test_a_symbolic_link_to_itself_is_refused(tmp_path: Path) -> None:
    link = tmp_path / "mcp.json"
    link.symlink_to(link)

    with pytest.raises(SettingsError, match="cannot be read"):
        read_host_file(link)


def test_a_folder_that_cannot_be_made_is_reported(path: Path) -> None:
    file = read_host_file(path.parent / "other.json")

    with pytest.raises(SettingsError, match="cannot be written"):
        replace_host_file(read_host_file(path / "below a file" / "mcp.json"), "{}", is_private=False)

    assert file.status is None


def test_a_full_disk_leaves_no_partial_backup_and_the_file_unchanged(path: Path) -> None:
    file, before = read_host_file(path), path.read_bytes()

    with full_disk(4), pytest.raises(SettingsError, match="cannot be written: file too large"):
        replace_host_file(file, "{}", is_private=False)

    assert list(path.parent.iterdir()) == [path]
    assert path.read_bytes() == before

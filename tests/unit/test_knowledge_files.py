"""Files are recognised by their keys and read within bounds; broken and hostile files give clear errors."""

import json
from pathlib import Path

import pytest

from pgmcp.errors import SettingsError
from pgmcp.knowledge import files
from pgmcp.knowledge.files import Format, read_document, read_documents

MANIFEST = '{"metadata": {}, "nodes": {}}'
SEMANTICS = '{"semantic_models": [], "metrics": [], "project_configuration": {}}'


def write(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("name", "text", "format"),
    [
        ("manifest.json", MANIFEST, Format.DBT_MANIFEST),
        ("renamed.json", SEMANTICS, Format.DBT_SEMANTICS),
        ("m.yaml", "semantic_model: [{name: shop, datasets: [{name: a}]}]", Format.OSSIE),
        ("m.json", '{"version": "0.2.0.dev0", "name": "shop", "datasets": [{"name": "a"}]}', Format.OSSIE),
        ("m.yml", "\ufeffcubes:\n  - name: a\n", Format.CUBE),
        ("v.yml", "views: [{name: a}]", Format.CUBE),
    ],
)
def test_a_format_is_recognised_by_its_keys(name: str, text: str, format: Format, tmp_path: Path) -> None:
    assert read_document(write(tmp_path, name, text)).format is format


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        (
            "osi_document.json",
            '{"version": "0.1.1", "semantic_model": [{"name": "semantic_model"}]}',
            "loses filters",
        ),
        ("o.yaml", "ontology: {name: x}", "ontology"),
        ("x.json", "[1, 2]", "not a mapping"),
        ("x.json", '{"a": 1}', "not in a format"),
        ("x.json", '{"a":\n 1, }', r"x\.json:2: not JSON from column 5 on"),
        ("x.json", "1" * 5_000, "a number with too many digits"),
        ("x.json", '{"a": ' * 100_000, "nested too deeply"),
        ("x.json", b"\xff\xfe", "not UTF-8"),
        ("x.yaml", "a: [", "not YAML"),
        ("x.yaml", "a: b\nc: \x07", r"x\.yaml:2: not YAML: the character U\+0007 is not allowed"),
        ("x.yaml", "[" * 900, "nested too deeply"),
        ("x.yaml", "a: !!python/object/apply:os.system [echo]", "not in a format"),
        ("x.yaml", "cubes: &a [*a]", "nested too deeply"),
        ("x.yaml", "{% for x in y %}\ncubes:\n{% endfor %}", "not YAML"),
        ("x.yaml", "", "not a mapping"),
    ],
)
def test_a_broken_or_hostile_file_is_a_clear_error(
    name: str, text: str | bytes, problem: str, tmp_path: Path
) -> None:
    path = write(tmp_path, name, text)

    with pytest.raises(SettingsError, match=problem) as caught:
        read_document(path)

    assert str(path) in str(caught.value)


def test_yaml_aliases_that_multiply_and_large_files_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    bomb = write(tmp_path, "bomb.yaml", "\n".join(lines))
    merged = "\n".join(
        ["b0: &b0 {x: 1}"] + [f"b{n}: &b{n} {{<<: [*b{n - 1}, *b{n - 1}]}}" for n in range(1, 30)]
    )
    merges = write(tmp_path, "merges.yaml", merged)
    monkeypatch.setattr(files, "MAX_YAML_BYTES", 10_000)
    monkeypatch.setattr(files, "MAX_YAML_NODES", 5_000)
    large = write(tmp_path, "large.yaml", "#" * 10_001)

    for path, problem in (
        (bomb, "more than 5000 values"),
        (merges, "more than 5000"),
        (large, "larger than"),
    ):
        with pytest.raises(SettingsError, match=problem):
            read_document(path)


def test_a_folder_of_dbt_gives_its_manifests_and_says_when_they_are_missing(tmp_path: Path) -> None:
    write(tmp_path, "dbt_project.yml", "name: shop")
    with pytest.raises(SettingsError) as caught:
        read_documents([tmp_path])
    assert "dbt parse" in caught.value.hint

    write(tmp_path, "target/manifest.json", MANIFEST)
    write(tmp_path, "target/semantic_manifest.json", SEMANTICS)
    write(tmp_path, "target/osi_document.json", "{}")
    documents, left_out = read_documents([tmp_path])

    assert [each.format for each in documents] == [Format.DBT_SEMANTICS, Format.DBT_MANIFEST]
    assert left_out == []


def test_a_folder_of_cube_leaves_out_code_and_other_files(tmp_path: Path) -> None:
    write(tmp_path, "cubes/a.yml", "cubes: [{name: a}]")
    write(tmp_path, "cubes/b.js", "cube('b', {})")
    write(tmp_path, "other.yaml", json.dumps({"x": 1}))

    documents, left_out = read_documents([tmp_path])

    assert [each.path.name for each in documents] == ["a.yml"]
    assert [each.why for each in left_out] == [
        "it is JavaScript, and import runs no code",
        "it is not in a format that import reads",
    ]
    write(tmp_path, "nothing/readme", "x")
    with pytest.raises(SettingsError, match="no file that import reads"):
        read_documents([tmp_path / "nothing"])

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from dnalib.data import DataError, find_labels, locate, locate_cache, locate_split
from dnalib.data.index import index_path
from dnalib.data.locations import cache_name


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DNALIB_DATA", raising=False)
    monkeypatch.delenv("DNALIB_SPLIT", raising=False)
    monkeypatch.delenv("DNALIB_CACHE", raising=False)


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_argument_then_environment_then_default_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    default = touch(tmp_path / "data/cinc2017/training2017.zip")
    from_environment = touch(tmp_path / "environment/A1.hea").parent
    asked = touch(tmp_path / "asked.zip")
    assert locate(root=tmp_path) == default
    monkeypatch.setenv("DNALIB_DATA", str(from_environment))
    assert locate(root=tmp_path) == from_environment
    assert locate(str(asked), root=tmp_path) == asked


def test_an_unpacked_archive_stands_for_its_folder(tmp_path: Path) -> None:
    unpacked = touch(tmp_path / "training2017/A1.hea").parent
    assert locate(tmp_path, root=tmp_path) == unpacked


def test_a_packed_stream_stands_for_its_folder_where_nothing_else_does(tmp_path: Path) -> None:
    stream = touch(tmp_path / "records.flac")
    assert locate(tmp_path, root=tmp_path) == locate(stream, root=tmp_path) == stream
    labels, split = touch(tmp_path / "REFERENCE-v3.csv"), touch(tmp_path / "random_permutation.npy")
    assert (find_labels(stream), locate_split(stream)) == (labels, split)
    archive = touch(tmp_path / "training2017.zip")
    assert locate(tmp_path, root=tmp_path) == archive


@pytest.mark.parametrize("asked", [None, "elsewhere"])
def test_absent_records_say_how_to_get_them(tmp_path: Path, asked: str | None) -> None:
    (tmp_path / "data/cinc2017").mkdir(parents=True)
    with pytest.raises(DataError, match="python -m dnalib.data fetch") as error:
        locate(asked, root=tmp_path)
    assert (asked or str(tmp_path / "data/cinc2017")) in str(error.value)


def test_labels_lie_beside_an_archive_or_in_or_above_a_folder(tmp_path: Path) -> None:
    archive = touch(tmp_path / "training2017.zip")
    folder = touch(tmp_path / "training2017/A1.hea").parent
    touch(folder / "REFERENCE.csv")  # version 2: never taken in place of version 3
    for source in (archive, folder):
        with pytest.raises(DataError, match="REFERENCE-v3.csv") as error:
            find_labels(source)
        assert str(tmp_path) in str(error.value) and str(source) in str(error.value)
    above = touch(tmp_path / "REFERENCE-v3.csv")
    assert find_labels(archive) == above
    assert find_labels(folder) == above
    inside = touch(folder / "REFERENCE-v3.csv")
    assert find_labels(folder) == inside


def test_the_split_is_optional_unless_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = touch(tmp_path / "training2017.zip")
    assert locate_split(archive) is None
    beside = touch(tmp_path / "random_permutation.npy")
    assert locate_split(archive) == beside
    other = touch(tmp_path / "other.npy")
    monkeypatch.setenv("DNALIB_SPLIT", str(other))
    assert locate_split(archive) == other
    assert locate_split(archive, beside) == beside
    with pytest.raises(DataError, match="missing.npy"):
        locate_split(archive, tmp_path / "missing.npy")


def test_the_cache_is_the_projects_or_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert locate_cache(root=tmp_path / "new") == tmp_path / "new/data/cache"
    assert not (tmp_path / "new").exists(), "nothing is made by looking"
    monkeypatch.setenv("DNALIB_CACHE", str(tmp_path / "elsewhere"))
    assert locate_cache(root=tmp_path / "new") == tmp_path / "elsewhere"


def test_the_cache_of_a_project_that_is_only_read_is_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    made = touch(tmp_path / "project/data/cache" / cache_name("0"))
    index = touch(index_path(made))
    refused: list[Path] = []

    def only_read(path: Path, mode: int) -> bool:
        refused.append(path)
        return False

    monkeypatch.setattr("os.access", only_read)
    assert locate_cache(root=tmp_path / "project") == made.parent, "what is there can be read"
    index.unlink()  # as where a process was killed before it wrote that
    assert locate_cache(root=tmp_path / "project").name == "dnalib"
    made.unlink()
    left = [touch(made.with_name(f".{made.name}.0123.writing")), touch(index)]
    found = locate_cache(root=tmp_path / "project")
    assert found.name == "dnalib" and tmp_path / "project" not in found.parents
    assert refused == [made.parent] * 3
    for path in left:
        path.unlink()
    made.parent.rmdir()
    made.parent.touch()  # a file, in which nothing can be made whatever one may
    monkeypatch.undo()
    assert locate_cache(root=tmp_path / "project").name == "dnalib"


def test_a_folder_that_may_not_be_searched_holds_no_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    closed, look = tmp_path / "closed", os.stat
    closed.mkdir()

    def stat(path: Path, **options: Any) -> os.stat_result:
        if closed in Path(path).parents:  # modes of a folder do not keep out whoever tests as root
            raise PermissionError(path)
        return look(path, **options)

    monkeypatch.setattr("os.stat", stat)
    monkeypatch.setattr("os.access", lambda path, mode: path != closed)
    assert locate_cache(root=closed / "project").name == "dnalib"

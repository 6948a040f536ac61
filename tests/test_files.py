"""Files that are whole or absent."""

import errno
import os
import shutil

import pytest
import torch
from safetensors.torch import save_file

from dnalib import files
from dnalib.runs.revisions import git


@pytest.fixture
def umask():
    """What a folder that a group shares has; undone after the test."""
    before = os.umask(0o002)
    yield 0o002
    os.umask(before)


def permissions(path):
    return path.stat().st_mode & 0o777


def test_what_another_library_put_in_its_place_follows_the_umask(tmp_path, umask):
    path = tmp_path / "weights.safetensors"
    with files.written_beside(path) as part:
        save_file({"weights": torch.zeros(3)}, part)
        assert permissions(part) == 0o600, "else this test shows nothing"
    assert permissions(path) == 0o666 & ~umask
    files.write_durably(path, b"again")
    assert permissions(path) == 0o666 & ~umask and os.listdir(tmp_path) == [path.name]


def test_of_several_writers_the_last_one_stays(tmp_path):
    path = tmp_path / "file"
    with files.written_beside(path) as first, files.written_beside(path) as second:
        second.write_text("second")
        first.write_text("first")
        assert not path.exists()
    assert path.read_text() == "first" and os.listdir(tmp_path) == ["file"]


def test_an_error_leaves_the_old_file_and_a_lone_writer_clears_up(tmp_path):
    path, left = tmp_path / "file", tmp_path / ".file.writing"
    path.write_text("before")
    left.write_text("of a process that was killed")
    with pytest.raises(ZeroDivisionError), files.written_beside(path, alone=True) as part:
        assert part == left and not part.exists()
        part.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "before" and os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("alone", [True, False])
def test_what_a_killed_writer_leaves_is_not_committed(tmp_path, root, alone):
    git(tmp_path, "init", "--quiet")
    shutil.copyfile(root / ".gitignore", tmp_path / ".gitignore")
    (tmp_path / "book").mkdir()
    notebook = tmp_path / "book" / "01_data.ipynb"
    notebook.write_text("whole")
    with files.written_beside(notebook, alone=alone) as part:
        part.write_text("half")
        found = git(tmp_path, "status", "--porcelain", "--untracked-files=all", "--", "book")
    assert found == f"?? book/{notebook.name}"


def test_a_file_is_written_down_to_the_disk_before_it_takes_its_name(tmp_path, monkeypatch):
    path = tmp_path / "file"
    files.write_durably(path, b"before")
    steps = []
    synchronise, rename = os.fsync, os.replace

    def spy_fsync(descriptor):
        steps.append(("fsync", os.fstat(descriptor).st_size, path.read_bytes()))
        synchronise(descriptor)

    def spy_replace(source, target):
        steps.append(("rename", source.read_bytes(), path.read_bytes()))
        rename(source, target)

    monkeypatch.setattr(files.os, "fsync", spy_fsync)
    monkeypatch.setattr(files.os, "replace", spy_replace)
    files.write_durably(path, b"after")
    assert steps == [("fsync", 5, b"before"), ("rename", b"after", b"before")]
    assert path.read_bytes() == b"after" and os.listdir(tmp_path) == ["file"]


def test_a_file_that_cannot_be_written_leaves_the_old_one_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"before")

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        files.write_durably(path, b"after")
    assert path.read_bytes() == b"before" and os.listdir(tmp_path) == ["file"]


def test_a_folder_is_synchronised(tmp_path):
    files.synchronise(tmp_path)
    with pytest.raises(FileNotFoundError):
        files.synchronise(tmp_path / "absent")

"""Files that are whole or absent."""

import errno
import os

import pytest

from dnalib import files


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

"""Checkpoints: what is read is what was written, or the one before; a full disk harms neither."""

import errno
import json
import os
import pickletools
import re
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors
import torch

from dnalib.training import checkpoints
from dnalib.training.checkpoints import CheckpointError, CheckpointFolder, pack


def make_tensors(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {
        "network.weight": torch.randn(30, 7, 5, generator=generator),
        "network.layout": torch.randn(4, 6, 8, generator=generator).transpose(1, 2),
        "network.long": torch.randn(3000, generator=generator),  # in more than ten pieces
        "network.half": torch.randn(11, generator=generator).bfloat16(),
        "network.count": torch.tensor(2**40 + seed),
        "random.cpu": generator.get_state(),
        "empty": torch.empty(0, 3, dtype=torch.float64),
    }


def make_content(seed=0):
    return {"history": [{"epoch": 1, "loss": 0.1 + seed}], "step": 0, "name": "Ä", "none": None}


def write(folder, *positions, part_bytes=3000):
    for position in positions:
        epoch, step = position if isinstance(position, tuple) else (position, 0)
        seed = 100 * epoch + step
        folder.write(make_tensors(seed), make_content(seed), epoch=epoch, step=step)


def assert_read(path, seed):
    tensors, content = CheckpointFolder(path).read()
    expected = make_tensors(seed)
    assert tensors.keys() == expected.keys() and content == make_content(seed)
    for name, tensor in expected.items():
        assert tensors[name].dtype == tensor.dtype and tensors[name].shape == tensor.shape
        assert torch.equal(tensors[name], tensor)


@pytest.mark.parametrize("part_bytes", [1024, 3000, 15_000_000])
def test_what_is_read_is_what_was_written_in_parts_of_a_size(tmp_path, part_bytes):
    folder = CheckpointFolder(tmp_path / "made" / "anew", part_bytes=part_bytes)
    write(folder, 7)
    assert_read(folder.folder, 700)
    parts = list(folder.folder.glob("*.safetensors"))
    assert all(part.stat().st_size <= part_bytes for part in parts)
    numbers = sum(tensor.nbytes for tensor in make_tensors().values())
    assert len(parts) == 1 if part_bytes > 1e6 else len(parts) >= numbers / part_bytes
    assert sorted(part.name for part in parts) == sorted(
        f"epoch7-part{number}of{len(parts)}.safetensors" for number in range(1, len(parts) + 1)
    )


def test_parts_are_filled(tmp_path):
    tensors = {str(number): torch.zeros(1000) for number in range(20)}  # 4,000 bytes each
    assert [len(part) for part in pack(tensors, part_bytes=10_000)] == [2] * 10
    assert [len(part) for part in pack(tensors, part_bytes=100_000)] == [20]


def test_no_file_holds_a_pickle(tmp_path):
    write(CheckpointFolder(tmp_path, part_bytes=3000), 1)
    for path in tmp_path.iterdir():
        with pytest.raises(ValueError):
            pickletools.dis(path.read_bytes(), out=open(os.devnull, "w"))
        if path.suffix == ".json":
            json.loads(path.read_text(), parse_constant=pytest.fail)  # strictly JSON: no NaN
        else:
            with safetensors.safe_open(path, framework="pt") as file:
                assert file.keys()


def test_sizes_that_hold_nothing_are_refused(tmp_path):
    with pytest.raises(ValueError, match="part_bytes is 1023; accepted are 1024 bytes and more"):
        CheckpointFolder(tmp_path, part_bytes=1023)
    with pytest.raises(ValueError, match="a tensor with the name xx.* needs at least 1210"):
        pack({"x" * 1000: torch.zeros(1, dtype=torch.float64)}, part_bytes=1024)


def names(path):
    return sorted(file.name for file in path.iterdir())


def test_the_last_two_are_kept_whatever_their_positions(tmp_path):
    folder = CheckpointFolder(tmp_path)
    (tmp_path / "epoch.txt").write_text("of somebody else")
    for position, kept in [
        ((1, 0), ["epoch1"]),
        ((1, 9), ["epoch1", "epoch1-step9"]),
        ((1, 10), ["epoch1-step10", "epoch1-step9"]),
        ((10, 0), ["epoch1-step10", "epoch10"]),
        ((11, 0), ["epoch10", "epoch11"]),
    ]:
        write(folder, position)
        expected = [f"{name}{end}" for name in kept for end in ("-part1of1.safetensors", ".json")]
        assert names(tmp_path) == sorted([*expected, "epoch.txt"])
        assert_read(tmp_path, 100 * position[0] + position[1])


def test_a_name_is_written_once(tmp_path):
    folder = CheckpointFolder(tmp_path)
    write(folder, 1)
    with pytest.raises(ValueError, match="has a checkpoint epoch1 already"):
        write(folder, 1)
    assert_read(tmp_path, 100)


def flip(path, *, at=-5, bit=0):
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


def empty(path):
    path.write_bytes(b"")


def make_folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [flip, truncate, empty, make_folder, Path.unlink])
def test_a_damaged_part_is_noticed_and_the_checkpoint_before_used(tmp_path, damage):
    write(CheckpointFolder(tmp_path, part_bytes=3000), 1, 2)
    parts = sorted(tmp_path.glob("epoch2-*.safetensors"))
    assert len(parts) > 2
    damage(parts[1])
    with pytest.warns(UserWarning, match=f"epoch2 in .* is damaged: {parts[1].name}"):
        assert_read(tmp_path, 100)


@pytest.mark.parametrize("damage", [truncate, empty])
def test_a_damaged_description_is_noticed_and_the_checkpoint_before_used(tmp_path, damage):
    write(CheckpointFolder(tmp_path), 1, 2)
    damage(tmp_path / "epoch2.json")
    with pytest.warns(UserWarning, match="damaged: epoch2.json is not what was written"):
        assert_read(tmp_path, 100)


def test_the_description_of_the_newest_is_read_alone(tmp_path):
    assert CheckpointFolder(tmp_path).described() is None
    write(CheckpointFolder(tmp_path), 1, 2)
    for part in tmp_path.glob("*.safetensors"):
        part.unlink()
    assert CheckpointFolder(tmp_path).described() == make_content(200)
    truncate(tmp_path / "epoch2.json")
    assert CheckpointFolder(tmp_path).described() == make_content(100)
    empty(tmp_path / "epoch1.json")
    assert CheckpointFolder(tmp_path).described() is None


@pytest.mark.slow
def test_no_flipped_bit_of_a_description_goes_unnoticed(tmp_path):
    write(CheckpointFolder(tmp_path), 1)
    path = tmp_path / "epoch1.json"
    assert checkpoints.read_description(path)
    for at in range(path.stat().st_size):
        for bit in range(8):
            flip(path, at=at, bit=bit)
            with pytest.raises(checkpoints.DamagedCheckpoint):
                checkpoints.read_description(path)
            flip(path, at=at, bit=bit)


def test_where_none_is_intact_there_is_none(tmp_path):
    assert CheckpointFolder(tmp_path / "absent").read() is None
    write(CheckpointFolder(tmp_path), 1, 2)
    for path in tmp_path.glob("*.safetensors"):
        flip(path)
    with pytest.warns(UserWarning) as warned:
        assert CheckpointFolder(tmp_path).read() is None
    assert len(warned) == 3
    assert "no checkpoint in" in str(warned[-1].message) and "again" in str(warned[-1].message)


@pytest.mark.parametrize("kind", [errno.EIO, errno.EACCES, errno.ESTALE])
@pytest.mark.parametrize("file", ["epoch2.json", "epoch2-part1of1.safetensors"])
def test_what_cannot_be_read_now_is_not_given_up(tmp_path, monkeypatch, file, kind):
    write(CheckpointFolder(tmp_path), 1, 2)
    before, read = names(tmp_path), Path.read_bytes

    def refused(path):
        if path.name == file:
            raise OSError(kind, os.strerror(kind))
        return read(path)

    message = (
        f"epoch2 in .* could not be read .{re.escape(file)}: {os.strerror(kind)}.*may be whole"
    )
    with monkeypatch.context() as context:
        context.setattr(Path, "read_bytes", refused)
        with pytest.raises(CheckpointError, match=message):
            CheckpointFolder(tmp_path).read()
    assert names(tmp_path) == before
    assert_read(tmp_path, 200)


def test_a_file_that_is_missing_counts_as_damage(tmp_path):
    write(CheckpointFolder(tmp_path), 1, 2)
    (tmp_path / "epoch2-part1of1.safetensors").unlink()
    with pytest.warns(UserWarning, match="is damaged: epoch2-part1of1.safetensors: No such file"):
        assert_read(tmp_path, 100)


def test_behind_a_damaged_one_too_an_unreadable_one_is_not_given_up(tmp_path, monkeypatch):
    write(CheckpointFolder(tmp_path), 1, 2)
    flip(tmp_path / "epoch2-part1of1.safetensors")
    read = Path.read_bytes

    def refused(path):
        if path.name.startswith("epoch1"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refused)
    with (
        pytest.warns(UserWarning, match="epoch2 in .* is damaged"),
        pytest.raises(CheckpointError, match="the checkpoint epoch1 in .* could not be read"),
    ):
        CheckpointFolder(tmp_path).read()


def test_a_damaged_checkpoint_does_not_count_as_one_of_the_two(tmp_path):
    folder = CheckpointFolder(tmp_path)
    write(folder, 1, 2)
    flip(tmp_path / "epoch2-part1of1.safetensors")
    again = CheckpointFolder(tmp_path)
    with pytest.warns(UserWarning, match="damaged"):
        again.read()
    write(again, (1, 3))
    assert {name.split("-part")[0].split(".")[0] for name in names(tmp_path)} == {
        "epoch1",
        "epoch1-step3",
    }
    write(again, 2)  # a name that a damaged one had
    assert_read(tmp_path, 200)


def test_what_killed_writes_left_is_not_read_and_goes_with_the_next_write(tmp_path):
    write(CheckpointFolder(tmp_path, part_bytes=3000), 1, 2)
    kept = names(tmp_path)
    left = {".epoch3-part1of2.safetensors.writing", "epoch3-part2of2.safetensors"}
    left |= {".epoch3.json.writing", ".epoch2.json.writing", "epoch0-part1of1.safetensors"}
    for name in left:
        (tmp_path / name).write_bytes(b"half")
    (tmp_path / "notes-on-epoch3.json").write_text("not of this kind")
    folder = CheckpointFolder(tmp_path, part_bytes=3000)
    assert_read(tmp_path, 200)
    folder.read()
    write(folder, 4)
    assert not left & set(names(tmp_path)) and (tmp_path / "notes-on-epoch3.json").exists()
    assert {name for name in kept if name.startswith("epoch2")} < set(names(tmp_path))
    assert not any(name.startswith("epoch1") for name in names(tmp_path))


def test_what_killed_writes_left_makes_room_before_the_next_write(tmp_path, monkeypatch):
    folder = CheckpointFolder(tmp_path)
    write(folder, 1)
    (tmp_path / "epoch2-part1of1.safetensors").write_bytes(b"no description came after it")
    seen = []
    written = checkpoints.write_durably

    def spy(path, data):
        seen.append(names(tmp_path))
        written(path, data)

    monkeypatch.setattr(checkpoints, "write_durably", spy)
    write(folder, 3)
    assert seen[0] == ["epoch1-part1of1.safetensors", "epoch1.json"]


def test_the_old_one_goes_once_the_new_one_is_on_the_disk(tmp_path, monkeypatch):
    folder = CheckpointFolder(tmp_path)
    write(folder, 1, 2)
    seen = []
    monkeypatch.setattr(checkpoints, "synchronise", lambda path: seen.extend([path, *names(path)]))
    write(folder, 3)
    assert seen[0] == tmp_path and {"epoch1.json", "epoch2.json", "epoch3.json"} < set(seen[1:])
    assert "epoch1.json" not in names(tmp_path)


WRITE_TWICE = """
import resource, sys
from pathlib import Path
import torch
from dnalib.training.checkpoints import CheckpointError, CheckpointFolder

path, limit = Path(sys.argv[1]), int(sys.argv[2])
folder = CheckpointFolder(path)
folder.write({"weight": torch.zeros(2000)}, {}, epoch=1)
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
before = sorted(file.name for file in path.iterdir())
try:
    folder.write({"weight": torch.ones(200_000)}, {}, epoch=1, step=5)
except CheckpointError as error:
    print(error)
assert sorted(file.name for file in path.iterdir()) == before, list(path.iterdir())
tensors, _ = CheckpointFolder(path).read()
assert torch.equal(tensors["weight"], torch.zeros(2000))
"""


def sentence(error, path):
    return (
        rf"the checkpoint epoch1-step5 could not be written to {re.escape(str(path))}: {error} "
        r"\(800,\d\d\d bytes needed, [\d,]+ free\); the last checkpoint, epoch1, is intact and "
        r"the same call goes on from it once there is room\n"
    )


@pytest.mark.slow
def test_a_file_system_that_refuses_to_write_leaves_the_last_checkpoint(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WRITE_TWICE, tmp_path / "kept", "20000"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(sentence("File too large", tmp_path / "kept"), done.stdout), done.stdout


@pytest.mark.slow
def test_a_full_disk_leaves_the_last_checkpoint(tmp_path):
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(tmp_path)]
    if subprocess.run(["unshare", "-rm", *mount], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    script = f'{" ".join(mount)} && exec "$@"'
    command = ["unshare", "-rm", "sh", "-c", script, "sh", sys.executable, "-c", WRITE_TWICE]
    done = subprocess.run(
        [*command, tmp_path / "kept", "0"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    expected = sentence("No space left on device", tmp_path / "kept")
    assert re.fullmatch(expected, done.stdout), done.stdout


def test_a_first_checkpoint_that_cannot_be_written(tmp_path):
    path = tmp_path / "file"
    path.write_text("no folder")
    message = "could not be written to .*there is none before it and the same call starts again"
    with pytest.raises(CheckpointError, match=message) as caught:
        write(CheckpointFolder(path / "kept"), 1)
    assert "once it can be written to" in str(caught.value)
    assert isinstance(caught.value, OSError)


@pytest.mark.parametrize("writes", range(3))  # two parts and the description
def test_whichever_write_fails_nothing_is_left(tmp_path, monkeypatch, writes):
    folder = CheckpointFolder(tmp_path, part_bytes=6000)
    write(folder, 1)
    before = names(tmp_path)
    count = 0
    written = checkpoints.write_durably

    def fail(path, data):
        nonlocal count
        count += 1
        if count > writes:
            raise OSError(errno.ENOSPC, "No space left on device")
        written(path, data)

    monkeypatch.setattr(checkpoints, "write_durably", fail)
    with pytest.raises(CheckpointError, match="the last checkpoint, epoch1, is intact"):
        write(folder, 2)
    assert count == writes + 1 and names(tmp_path) == before
    monkeypatch.undo()
    write(folder, 2)
    assert_read(tmp_path, 200)

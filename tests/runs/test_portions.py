"""Portions outlive the call that made them, and the stage that is made of them ends them."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from dnalib.runs import OutOfTime, Portions, portions


class Clock:
    """A clock that stands still until it is told otherwise."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(portions, "time", made)
    return made


def test_what_one_call_kept_another_reads(tmp_path: Path) -> None:
    first = Portions(tmp_path / "stage" / "part")
    assert first.read(made_for="these") == {}
    first.keep("from-0", {"delta": torch.ones(2, 3)}, made_for="these")
    first.keep("end to end", {"delta": torch.zeros(1)}, made_for="these")
    found = Portions(tmp_path / "stage" / "part").read(made_for="these")
    assert list(found) == ["end to end", "from-0"]
    assert torch.equal(found["from-0"]["delta"], torch.ones(2, 3))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def zero_numbers(path: Path) -> None:
    """Leave the header, as a power loss can."""
    content = path.read_bytes()
    path.write_bytes(content[:-400] + bytes(400))


def forget_digest(path: Path) -> None:
    save_file(load_file(path), path)


def exchange_names(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"delta"', b'"atled"'))


DAMAGES = [cut, empty, zero, zero_numbers, forget_digest, exchange_names]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_portion_is_made_again(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    kept = Portions(tmp_path)
    for name in ("whole", "other"):
        kept.keep(name, {"delta": torch.ones(100)}, made_for="these")
    path = tmp_path / "other.safetensors"
    damage(path)
    (tmp_path / ".other.safetensors.writing").write_bytes(b"half")
    with pytest.warns(UserWarning, match="other.safetensors (is damaged|has no digest.*); it is"):
        assert list(kept.read(made_for="these")) == ["whole"]
    assert not path.exists()
    kept.keep("other", {"delta": torch.ones(100)}, made_for="these")
    assert list(kept.read(made_for="these")) == ["other", "whole"]


def test_portions_of_something_else_do_not_count(tmp_path: Path) -> None:
    kept = Portions(tmp_path)
    kept.keep("one", {"delta": torch.ones(2)}, made_for="others")
    kept.keep("two", {"delta": torch.ones(2)}, made_for="these")
    with pytest.warns(UserWarning, match="one.safetensors was made of other records .* again"):
        assert list(kept.read(made_for="these")) == ["two"]
    assert list(kept.read(made_for="these")) == ["two"], "it is gone"


def test_a_portion_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def spy(path: Path) -> None:
        seen.append((path.name, (tmp_path / "one.safetensors").exists()))

    monkeypatch.setattr(portions, "synchronise", spy)
    Portions(tmp_path).keep("one", {"delta": torch.ones(2)}, made_for="these")
    assert seen == [(".one.safetensors.writing", False), (tmp_path.name, True)]


def test_without_a_folder_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    kept = Portions()
    kept.keep("one", {"delta": torch.ones(1)}, made_for="these")
    kept.check_time("nothing")
    assert kept.read(made_for="these") == {} and not list(tmp_path.iterdir())


def test_each_portion_is_made_once(tmp_path: Path) -> None:
    made = []

    def make(name: str) -> dict[str, torch.Tensor]:
        made.append(name)
        return {"length": torch.tensor([len(name)])}

    for calls in (1, 2):
        kept = Portions(tmp_path, minutes_left=lambda: 0.0)
        with pytest.raises(OutOfTime, match=f"over: {calls} of 3 are measured; call again"):
            kept.each(["one", "three", "eleven"], make, made_for="these", done="are measured")
    again = Portions(tmp_path, minutes_left=lambda: 0.0)
    found = again.each(["one", "three", "eleven"], make, made_for="these", done="are measured")
    assert {name: int(one["length"]) for name, one in found.items()} == {
        "one": 3,
        "three": 5,
        "eleven": 6,
    }
    assert list(found) == made == ["one", "three", "eleven"]


def test_the_pace_is_that_of_the_last_portion(clock: Clock) -> None:
    left = 10.0
    kept = Portions(minutes_left=lambda: left)
    left = 0.0
    kept.check_time("nothing is done")  # time for one portion there always is
    clock.now += 120
    kept.keep("one", {}, made_for="these")
    left = 2.0
    kept.check_time("one is done")
    left = 1.9
    with pytest.raises(OutOfTime, match="max_minutes is over: one is done; call again to go on"):
        kept.check_time("one is done")
    clock.now += 60
    kept.keep("two", {}, made_for="these")
    kept.check_time("two are done")

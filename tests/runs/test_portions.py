"""Portions outlive the call that made them, and the stage that is made of them ends them."""

from pathlib import Path

import pytest
import torch

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
    assert first.read() == {}
    first.keep("from-0", {"delta": torch.ones(2, 3)})
    first.keep("end to end", {"delta": torch.zeros(1)})
    found = Portions(tmp_path / "stage" / "part").read()
    assert list(found) == ["end to end", "from-0"]
    assert torch.equal(found["from-0"]["delta"], torch.ones(2, 3))


def test_a_damaged_portion_is_made_again(tmp_path: Path) -> None:
    kept = Portions(tmp_path)
    for name in ("whole", "cut"):
        kept.keep(name, {"delta": torch.ones(100)})
    path = tmp_path / "cut.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    (tmp_path / ".other.safetensors.writing").write_bytes(b"half")
    with pytest.warns(UserWarning, match="cut.safetensors is damaged; it is made again"):
        assert list(kept.read()) == ["whole"]
    assert not path.exists()


def test_without_a_folder_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    kept = Portions()
    kept.keep("one", {"delta": torch.ones(1)})
    kept.check_time("nothing")
    assert kept.read() == {} and not list(tmp_path.iterdir())


def test_the_pace_is_that_of_the_last_portion(clock: Clock) -> None:
    left = 10.0
    kept = Portions(minutes_left=lambda: left)
    left = 0.0
    kept.check_time("nothing is done")  # time for one portion there always is
    clock.now += 120
    kept.keep("one", {})
    left = 2.0
    kept.check_time("one is done")
    left = 1.9
    with pytest.raises(OutOfTime, match="max_minutes is over: one is done; call again to go on"):
        kept.check_time("one is done")
    clock.now += 60
    kept.keep("two", {})
    kept.check_time("two are done")

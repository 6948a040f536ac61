"""Turns: who holds a name holds it alone, and a killed process holds nothing."""

import multiprocessing
import os
import signal
import time

import pytest

from dnalib.runs.turns import is_held, turn

pytestmark = pytest.mark.slow

CONTEXT = multiprocessing.get_context("spawn")


def hold(folder, holding):
    """Take the turn, say so, and keep it."""
    with turn(folder, "soup"):
        holding.set()
        time.sleep(60)


def append_slowly(folder, number):
    """Two lines in the same file, with time between them for another process to come."""
    with turn(folder, "soup"):
        for part in ("begins", "ends"):
            with (folder / "order").open("a") as file:
                file.write(f"{number} {part}\n")
            time.sleep(0.05)


def test_processes_hold_a_name_one_after_another(tmp_path):
    processes = [CONTEXT.Process(target=append_slowly, args=(tmp_path, n)) for n in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=60)
    lines = [line.split() for line in (tmp_path / "order").read_text().splitlines()]
    assert len(lines) == 8
    assert all(first[0] == second[0] for first, second in zip(lines[::2], lines[1::2], strict=True))


def test_a_killed_process_leaves_its_turn_to_the_next(tmp_path, capsys):
    holding = CONTEXT.Event()
    process = CONTEXT.Process(target=hold, args=(tmp_path, holding))
    process.start()
    assert holding.wait(timeout=60)
    with turn(tmp_path, "soup", seconds=0) as ours:
        assert not ours
    assert capsys.readouterr().out == ""
    with turn(tmp_path, "soup", seconds=0.01) as ours:
        assert not ours
    assert capsys.readouterr().out == "soup: another process computes it; waiting\n"
    with turn(tmp_path, "bread", seconds=0) as ours:
        assert ours, "another name is another turn"
    assert is_held(tmp_path, "soup") and not is_held(tmp_path, "bread")
    os.kill(process.pid, signal.SIGKILL)
    with turn(tmp_path, "soup", seconds=30) as ours:
        assert ours
    assert not is_held(tmp_path, "soup")
    process.join(timeout=60)


def test_who_holds_a_name_is_found_out_by_reading(tmp_path):
    assert not is_held(tmp_path / "never begun", "soup")
    assert list(tmp_path.iterdir()) == []
    with turn(tmp_path, "soup"):
        before = sorted(tmp_path.rglob("*"))
        assert is_held(tmp_path, "soup") and not is_held(tmp_path, "bread")
        assert sorted(tmp_path.rglob("*")) == before
    assert not is_held(tmp_path, "soup")


def test_an_error_ends_the_turn(tmp_path):
    try:
        with turn(tmp_path, "soup"):
            raise RuntimeError("burnt")
    except RuntimeError:
        pass
    with turn(tmp_path, "soup", seconds=0) as ours:
        assert ours

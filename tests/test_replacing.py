"""Files that take the places of others do so together, or leave no trace."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dnalib import replacing
from dnalib.replacing import handlers_restored, replaced_together, signals_wait

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def own_handlers_of_python():
    """Whoever started the tests may have let signals be ignored, as `nohup` does."""
    with handlers_restored():
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        yield


@pytest.fixture
def menu(tmp_path):
    """A folder of two files."""
    for name in ("soup", "bread"):
        (tmp_path / "menu" / "today").mkdir(parents=True, exist_ok=True)
        (tmp_path / "menu" / "today" / name).write_text("old")
    return tmp_path / "menu"


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def write_new(made):
    (made / "today").mkdir()
    (made / "today" / "soup").write_text("new")


def test_files_are_replaced_at_the_end_alone(menu):
    before = contents(menu)
    with replaced_together(menu) as made:
        write_new(made)
        (made / "later" / "tea").mkdir(parents=True)
        (made / "later" / "tea" / "green").write_text("new")
        assert all(contents(menu)[name] == text for name, text in before.items())
    after = before | {"today/soup": "new", "later/tea/green": "new"}
    assert contents(menu) == after and sorted(os.listdir(menu)) == ["later", "today"]


def test_an_error_leaves_all_as_it_was(menu):
    before, handlers = contents(menu), [signal.getsignal(one) for one in replacing.ENDING]
    with pytest.raises(RuntimeError, match="burnt"), replaced_together(menu) as made:
        write_new(made)
        raise RuntimeError("burnt")
    assert contents(menu) == before and os.listdir(menu) == ["today"]
    assert [signal.getsignal(one) for one in replacing.ENDING] == handlers


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_all_as_it_was(menu, number):
    program = f"""
import time
from pathlib import Path
from dnalib.replacing import replaced_together
with replaced_together(Path({str(menu)!r})) as made:
    (made / "today").mkdir()
    (made / "today" / "soup").write_text("new")
    print("made", flush=True)
    time.sleep(60)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout.readline() == "made\n"
    before = {"today/soup": "old", "today/bread": "old"}
    assert contents(menu).items() > before.items()
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode in (128 + number, -number)
    assert contents(menu) == before and os.listdir(menu) == ["today"]


@pytest.fixture
def other_thread():
    """One that waits, and could take a signal that this one blocks."""
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait)
    thread.start()
    yield
    ended.set()
    thread.join()


def test_a_signal_waits_for_all_files_to_take_their_places(menu, monkeypatch, other_thread):
    take_places = replacing.take_places

    def told_to_end_meanwhile(stage, root):
        os.kill(os.getpid(), signal.SIGTERM)
        take_places(stage, root)

    monkeypatch.setattr(replacing, "take_places", told_to_end_meanwhile)
    with pytest.raises(SystemExit) as ended, replaced_together(menu) as made:
        write_new(made)
    assert ended.value.code == 128 + signal.SIGTERM
    assert contents(menu)["today/soup"] == "new" and os.listdir(menu) == ["today"]


def test_a_signal_that_is_ignored_stays_ignored(menu):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with replaced_together(menu) as made:
        os.kill(os.getpid(), signal.SIGHUP)
        with signals_wait():
            os.kill(os.getpid(), signal.SIGHUP)
        write_new(made)
    assert contents(menu)["today/soup"] == "new"
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def test_an_interruption_waits(other_thread):
    with pytest.raises(KeyboardInterrupt), signals_wait():
        os.kill(os.getpid(), signal.SIGINT)
        waited = True
    assert waited

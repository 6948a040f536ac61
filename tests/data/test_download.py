"""Fetching from a local HTTP server that can lose connections and ignore ranges."""

from __future__ import annotations

import hashlib
import io
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import requests

from dnalib.data import DataError, Expected, Records, fetch, load_records
from dnalib.data.__main__ import main
from dnalib.data.download import verify_labels, verify_split
from dnalib.dataset import CHALLENGE, origin_of

if TYPE_CHECKING:
    from conftest import Dataset

ARCHIVE, LABELS, SPLIT = "training2017.zip", "REFERENCE-v3.csv", "random_permutation.npy"


@dataclass
class Server:
    """What is served, how badly, and what was asked for.

    Attributes:
        files: content by name.
        ranges: whether requests for the rest of a file are honoured.
        cuts: how many answers to break off half way, by name.
        damages: how many answers to send with a byte changed, by name.
        requests: (name, first byte asked for) of each request.
    """

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    cuts: dict[str, int] = field(default_factory=dict)
    damages: dict[str, int] = field(default_factory=dict)
    requests: list[tuple[str, int]] = field(default_factory=list)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        name = handler.path.lstrip("/")
        asked = re.match(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        first = int(asked[1]) if asked else 0
        self.requests.append((name, first))
        if name not in self.files:
            return handler.send_error(404)
        content = self.files[name]
        if not (asked and self.ranges):
            first = 0
            handler.send_response(200)
        elif first >= len(content):
            return handler.send_error(416)
        else:
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        rest = content[first:]
        handler.send_header("Content-Length", str(len(rest)))
        handler.end_headers()
        if self.cuts.get(name, 0):
            self.cuts[name] -= 1
            rest = rest[: len(rest) // 2]
        if self.damages.get(name, 0):
            self.damages[name] -= 1
            rest = rest[:-1] + bytes([rest[-1] ^ 1])
        handler.wfile.write(rest)
        handler.close_connection = True


@pytest.fixture
def server(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Serves a made-up data set on this machine."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # noqa: N802 (the name that http.server calls)
            state.answer(self)

        def log_message(self, format: str, *values: object) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.address = f"http://127.0.0.1:{listening.server_port}/"
    served = tmp_path / "served"
    served.mkdir()
    state.files[ARCHIVE] = dataset.write_zip(served).read_bytes()
    state.files[LABELS] = (served / LABELS).read_bytes()
    buffer = io.BytesIO()
    np.save(buffer, np.arange(len(dataset.signals))[::-1])
    state.files[SPLIT] = buffer.getvalue()
    thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
    thread.start()
    yield state
    listening.shutdown()
    thread.join()
    listening.server_close()


@pytest.fixture
def expected(dataset: Dataset, server: Server) -> Expected:
    samples = np.concatenate(list(dataset.signals.values())).astype("<i2").tobytes()
    labels = "".join(f"{name},{label}\n" for name, label in sorted(dataset.labels.items()))
    return Expected(
        records=len(dataset.signals),
        samples=len(samples) // 2,
        samples_sha256=hashlib.sha256(samples).hexdigest(),
        labels_sha256=hashlib.sha256(labels.encode()).hexdigest(),
        split_sha256=hashlib.sha256(server.files[SPLIT]).hexdigest(),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "cinc2017"


def fetch_from(server: Server, folder: Path | str, expected: Expected, *, retries: int = 0) -> Path:
    return fetch(
        folder,
        archive_url=server.address + ARCHIVE,
        labels_url=server.address + LABELS,
        split_url=server.address + SPLIT,
        progress=False,
        retries=retries,
        expected=expected,
    )


def held(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_everything_is_fetched_once(
    server: Server, folder: Path, expected: Expected, dataset: Dataset, tmp_path: Path
) -> None:
    archive = fetch_from(server, folder, expected)
    assert archive == folder / ARCHIVE and held(folder) == {ARCHIVE, LABELS, SPLIT}
    for name, content in server.files.items():
        assert (folder / name).read_bytes() == content
    assert load_records(archive, cache=tmp_path / "cache", progress=False).names == tuple(
        dataset.signals
    )
    assert len(server.requests) == 3
    assert fetch_from(server, str(folder), expected) == archive
    assert len(server.requests) == 3


def test_a_connection_cut_half_way_is_resumed_by_the_next_call(
    server: Server, folder: Path, expected: Expected
) -> None:
    server.cuts[ARCHIVE] = 1
    with pytest.raises(DataError, match=f"{ARCHIVE}: the download failed"):
        fetch_from(server, folder, expected)
    assert held(folder) == {f"{ARCHIVE}.part", LABELS, SPLIT}
    part = (folder / f"{ARCHIVE}.part").read_bytes()
    assert len(part) >= 4096 and server.files[ARCHIVE].startswith(part)
    fetch_from(server, folder, expected)
    assert server.requests[-1] == (ARCHIVE, len(part))
    assert (folder / ARCHIVE).read_bytes() == server.files[ARCHIVE]
    assert held(folder) == {ARCHIVE, LABELS, SPLIT}


@pytest.mark.parametrize("ranges", [True, False])
def test_a_connection_cut_half_way_is_tried_again(
    server: Server, folder: Path, expected: Expected, ranges: bool
) -> None:
    server.cuts[ARCHIVE] = 1
    server.ranges = ranges
    fetch_from(server, folder, expected, retries=1)
    assert [name for name, _ in server.requests].count(ARCHIVE) == 2
    assert (folder / ARCHIVE).read_bytes() == server.files[ARCHIVE]
    assert held(folder) == {ARCHIVE, LABELS, SPLIT}


def test_a_short_answer_is_noticed_where_the_http_library_does_not(
    server: Server, folder: Path, expected: Expected, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lenient(*arguments: object, **options: object) -> requests.Response:
        response = get(*arguments, **options)
        response.raw.enforce_content_length = False  # as in urllib3 before version 2
        return response

    get = requests.get
    monkeypatch.setattr(requests, "get", lenient)
    server.cuts[ARCHIVE] = 1
    size = len(server.files[ARCHIVE])
    with pytest.raises(DataError, match=f"connection lost after {size // 2} of {size} bytes"):
        fetch_from(server, folder, expected)
    fetch_from(server, folder, expected)
    assert (folder / ARCHIVE).read_bytes() == server.files[ARCHIVE]


def test_a_split_that_arrives_damaged_is_asked_for_again(
    server: Server, folder: Path, expected: Expected
) -> None:
    server.damages[SPLIT] = 1
    fetch_from(server, folder, expected, retries=1)
    assert (folder / SPLIT).read_bytes() == server.files[SPLIT]


def test_a_part_of_another_version_is_not_kept(
    server: Server, folder: Path, expected: Expected
) -> None:
    folder.mkdir(parents=True)
    (folder / f"{ARCHIVE}.part").write_bytes(b"\0" * 1000)
    fetch_from(server, folder, expected)
    assert [first for name, first in server.requests if name == ARCHIVE] == [1000, 0]
    assert (folder / ARCHIVE).read_bytes() == server.files[ARCHIVE]


@pytest.mark.parametrize("extra", [0, 7])
def test_a_part_that_leaves_nothing_to_ask_for(
    server: Server, folder: Path, expected: Expected, extra: int
) -> None:
    folder.mkdir(parents=True)
    (folder / f"{ARCHIVE}.part").write_bytes(server.files[ARCHIVE] + b"\0" * extra)
    fetch_from(server, folder, expected)
    assert (folder / ARCHIVE).read_bytes() == server.files[ARCHIVE]


def test_a_download_that_was_stopped_before_its_check(
    server: Server, folder: Path, expected: Expected
) -> None:
    folder.mkdir(parents=True)
    for content, asked in ((server.files[ARCHIVE], 0), (b"PK", 1)):
        (folder / ARCHIVE).unlink(missing_ok=True)
        (folder / f"{ARCHIVE}.unverified").write_bytes(content)
        server.requests.clear()
        fetch_from(server, folder, expected)
        assert [name for name, _ in server.requests].count(ARCHIVE) == asked
        assert held(folder) == {ARCHIVE, LABELS, SPLIT}


@pytest.mark.parametrize(
    ("field_name", "wrong", "name"),
    [
        ("records", 9, ARCHIVE),
        ("samples", 1, ARCHIVE),
        ("samples_sha256", "0" * 64, ARCHIVE),
        ("labels_sha256", "0" * 64, LABELS),
        ("split_sha256", "0" * 64, SPLIT),
    ],
)
def test_wrong_content_is_removed_and_both_values_are_said(
    server: Server, folder: Path, expected: Expected, field_name: str, wrong: object, name: str
) -> None:
    with pytest.raises(DataError) as error:
        fetch_from(server, folder, replace(expected, **{field_name: wrong}))
    message = str(error.value)
    assert server.address + name in message
    assert str(wrong) in message and str(getattr(expected, field_name)) in message
    assert not [entry for entry in held(folder) if entry.startswith(name)]


def test_a_page_in_place_of_the_archive(server: Server, folder: Path, expected: Expected) -> None:
    server.files[ARCHIVE] = b"<html>please sign in</html>"
    with pytest.raises(DataError, match="is not a zip archive"):
        fetch_from(server, folder, expected)
    assert held(folder) == {LABELS, SPLIT}


def test_a_bad_file_that_is_there_is_replaced(
    server: Server, folder: Path, expected: Expected
) -> None:
    fetch_from(server, folder, expected)
    (folder / LABELS).write_text("A00000,A\n")
    with pytest.warns(UserWarning, match="labels sha256 is .* fetched again"):
        fetch_from(server, folder, expected)
    assert (folder / LABELS).read_bytes() == server.files[LABELS]
    assert len(server.requests) == 4


def test_line_endings_of_the_labels_do_not_matter(
    server: Server, folder: Path, expected: Expected
) -> None:
    server.files[LABELS] = server.files[LABELS].replace(b"\n", b"\r\n")
    fetch_from(server, folder, expected)


def test_a_missing_file_and_an_absent_server(
    server: Server, folder: Path, expected: Expected
) -> None:
    del server.files[SPLIT]
    with pytest.raises(DataError, match=f"{SPLIT}: the download failed .*404"):
        fetch_from(server, folder, expected)
    assert held(folder) == {LABELS}
    server.address = "http://127.0.0.1:1/"
    with pytest.raises(DataError, match=f"{SPLIT}: the download failed"):
        fetch_from(server, folder, expected)


def test_the_command_line(
    server: Server,
    tmp_path: Path,
    expected: Expected,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    addresses = ["--records", server.address.rstrip("/"), "--split", server.address]
    assert main(["fetch", *addresses], expected=expected) == 0
    shown = capsys.readouterr()
    assert held(tmp_path / "data/cinc2017") == {ARCHIVE, LABELS, SPLIT}
    assert "Verified" in shown.out and f"{ARCHIVE}: 100%" in shown.err
    other = tmp_path / "other"
    arguments = ["fetch", "--folder", str(other), "--quiet", *addresses]
    assert main(arguments, expected=replace(expected, records=9)) == 1
    assert "error: " in capsys.readouterr().err
    assert held(other) == {LABELS, SPLIT}


@pytest.mark.slow
def test_the_command_is_there() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dnalib.data", "fetch", "--help"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert done.returncode == 0 and "data/cinc2017" in done.stdout


@pytest.mark.real
def test_the_pinned_digests_are_those_of_the_real_files(
    real_records: Records, real_archive: Path, real_split: Path
) -> None:
    expected = Expected()
    assert (len(real_records), real_records.samples.size) == (expected.records, expected.samples)
    assert real_records.digest == expected.samples_sha256
    verify_labels(real_archive.parent / LABELS, expected)
    verify_split(real_split, expected)
    assert origin_of(real_records, real_archive) == CHALLENGE
    others = replace(real_records, digest="0" * 64)
    assert origin_of(others, real_archive).endswith(f"which are not the 8,528 of {CHALLENGE}")


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["fetch", "--folder", str(tmp_path / "file" / "below"), "--quiet"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and "file" in line

"""A Jupyter server on a free port, in a folder of its own, with a token."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

TOKEN = "only-for-this-test"
STARTUP = 60  # s
# No question about news, and every cell drawn whether it is in view or not.
SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
}


@contextlib.contextmanager
def jupyter_lab(folder: Path, *, notebooks: Path) -> Iterator[str]:
    """Serve a folder of notebooks; yields the address of JupyterLab, without the token.

    Args:
        folder: for the server's own files.
        notebooks: what is served.
    """
    pytest.importorskip("jupyterlab", reason="JupyterLab is not installed")
    places = {name: folder / name.lower() for name in ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")}
    settings = folder / "settings"
    settings.mkdir(parents=True)
    (settings / "overrides.json").write_text(json.dumps(SETTINGS))
    environment = {
        **os.environ,
        **{f"JUPYTER_{name}": str(place) for name, place in places.items()},
        "IPYTHONDIR": str(folder / "ipython"),
        "PYTHONPATH": str(Path(__file__).resolve().parent.parent),
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += ["--ServerApp.ip=127.0.0.1", f"--IdentityProvider.token={TOKEN}"]
    command += [f"--ServerApp.root_dir={notebooks}", f"--LabApp.app_settings_dir={settings}"]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=notebooks)
        try:
            yield address(server, places["RUNTIME_DIR"], log=folder / "log")
        finally:
            server.terminate()  # it ends its kernels first
            try:
                server.wait(timeout=20)
            except subprocess.TimeoutExpired:
                server.kill()


def address(server: subprocess.Popen, runtime: Path, *, log: Path) -> str:
    """Where the server listens, as it says in a file when it does."""
    deadline = time.monotonic() + STARTUP
    path = runtime / f"jpserver-{server.pid}.json"
    while not (path.is_file() and (text := path.read_text())):  # made first, and written then
        alive = server.poll() is None and time.monotonic() < deadline
        assert alive, f"the server did not start:\n{log.read_text()[-2000:]}"
        time.sleep(0.05)
    return f"http://127.0.0.1:{json.loads(text)['port']}/lab"

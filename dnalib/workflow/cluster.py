"""A Slurm cluster on this machine, to try things on: `python -m dnalib.workflow.cluster FOLDER`.

munge, slurmctld and a slurmd for each node (Debian: slurm-wlm, munge), all of them root's, with
their files in one short-named folder. Slurm's commands find it through /etc/slurm/slurm.conf.
"""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

COMMANDS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol")
SYSTEM_CONFIG = Path("/etc/slurm/slurm.conf")
PATIENCE = 60  # seconds for a daemon to answer


def why_not() -> str | None:
    """Why no cluster can be started here; None where one can."""
    if os.geteuid() != 0:
        return "a Slurm cluster needs root"
    missing = [name for name in COMMANDS if shutil.which(name) is None]
    if missing:
        return f"no {', '.join(missing)} here (Debian: slurm-wlm, munge)"
    if SYSTEM_CONFIG.exists():
        return f"{SYSTEM_CONFIG} is there: this machine belongs to a cluster"
    return None


class Cluster:
    """Some nodes with one slot each; a context that starts and ends all daemons.

    Args:
        folder: for keys, sockets, logs and states; its path must be short.
        nodes: how many.
        memory: MB a node.
    """

    def __init__(self, folder: Path, *, nodes: int = 4, memory: int = 4000) -> None:
        self.folder = folder
        self.nodes = [f"node{number}" for number in range(1, nodes + 1)]
        self.memory = memory
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> "Cluster":
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start every daemon and wait for the nodes."""
        for name in ("state", "spool", "log"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "munge.key").write_bytes(secrets.token_bytes(1024))
        (self.folder / "munge.key").chmod(0o400)
        (self.folder / "slurm.conf").write_text(self.config())
        SYSTEM_CONFIG.parent.mkdir(exist_ok=True)
        if SYSTEM_CONFIG.is_symlink() and not SYSTEM_CONFIG.exists():
            SYSTEM_CONFIG.unlink()  # of a cluster that was killed, and its folder removed
        SYSTEM_CONFIG.symlink_to(self.folder / "slurm.conf")
        paths = {
            "key-file": "munge.key",
            "socket": "munge.socket",
            "pid-file": "munged.pid",
            "log-file": "log/munged.log",
            "seed-file": "munged.seed",
        }
        places = [f"--{option}={self.folder / path}" for option, path in paths.items()]
        self.run("munged", "munged", "--foreground", "--force", *places)
        self.wait_for(lambda: (self.folder / "munge.socket").exists(), "munged")
        self.run("slurmctld", "slurmctld", "-D", "-c")
        for node in self.nodes:
            self.run(node, "slurmd", "-D", "-N", node)
        ready = ["sinfo", "--noheader", "--partition=main", "--states=idle", "--format=%D"]
        self.wait_for(lambda: answer(ready) == str(len(self.nodes)), "the nodes")

    def config(self) -> str:
        """slurm.conf."""
        host, folder = socket.gethostname().partition(".")[0], self.folder
        ports = free_ports(len(self.nodes) + 1)
        return f"""ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[-1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdTimeout=5
KillWait=2
MinJobAge=7200
ReturnToService=2
{self.node_lines(host, ports)}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
PartitionName=spare Nodes=ALL MaxTime=INFINITE State=UP
"""

    def node_lines(self, host: str, ports: list[int]) -> str:
        """The nodes, each a port of this machine."""
        return "\n".join(
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=1 "
            f"RealMemory={self.memory} State=UNKNOWN"
            for node, port in zip(self.nodes, ports, strict=False)
        )

    def run(self, name: str, *command: str) -> None:
        """Start a daemon in the foreground of a process of ours; its output is a log."""
        log = (self.folder / "log" / f"{name}.out").open("w")
        self.daemons[name] = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )

    def wait_for(self, is_there: Callable[[], bool], what: str) -> None:
        """Wait until something is there; a RuntimeError with the logs if it never is."""
        deadline = time.monotonic() + PATIENCE
        while not is_there():
            if time.monotonic() > deadline:
                logs = [path.read_text()[-2000:] for path in (self.folder / "log").iterdir()]
                raise RuntimeError(f"{what} did not start:\n" + "\n".join(logs))
            time.sleep(0.2)

    def lose(self, node: str) -> None:
        """Kill a node's daemon and all that runs on it, as a power cut does."""
        self.daemons[node].kill()
        self.daemons.pop(node).wait()
        kill_work({node})

    def stop(self) -> None:
        """End every job and daemon; nothing stays on the machine but the folder."""
        for daemon in reversed(self.daemons.values()):
            daemon.terminate()
        for daemon in self.daemons.values():
            try:
                daemon.wait(timeout=20)
            except subprocess.TimeoutExpired:
                daemon.kill()
        kill_work(set(self.nodes))
        if SYSTEM_CONFIG.is_symlink() and SYSTEM_CONFIG.readlink().parent == self.folder:
            SYSTEM_CONFIG.unlink()


def kill_work(nodes: set[str]) -> None:
    """Kill all that runs on some nodes, and what is about to."""
    for _ in range(3):
        work = [one for one in psutil.process_iter() if node_of(one) in nodes]
        # What watches over the work is no child of a daemon; it goes first, to tell nobody.
        watchers = {one.parent() for one in work} - {None, *work}
        steps = [one for one in watchers if one.name().startswith("slurmstepd")]
        for process in [*steps, *work]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        time.sleep(0.3)


def node_of(process: psutil.Process) -> str | None:
    """The node on which a process belongs to a job; None for every other process."""
    try:
        return process.environ().get("SLURMD_NODENAME")
    except psutil.Error:
        return None


def answer(command: list[str]) -> str:
    """What a command prints; nothing where it fails."""
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE).stdout.strip()


def free_ports(count: int) -> list[int]:
    """Ports that nobody uses now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def copy_project(root: Path, copy: Path) -> Path:
    """Copy what git knows of the project, less tests and data: a sweep writes beside the code."""
    listed = ["git", "-C", str(root), "ls-files", "-co", "--exclude-standard", "-z"]
    names = subprocess.run(listed, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (root / name).is_file() and not name.startswith(("data/", "tests/")):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, copy / name)
    return copy


def main() -> None:
    """Start a cluster and keep it until Ctrl-C."""
    reason = why_not()
    if reason:
        sys.exit(reason)
    with Cluster(Path(sys.argv[1])) as cluster:
        print(f"{len(cluster.nodes)} nodes; Ctrl-C ends them", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()


if __name__ == "__main__":
    main()

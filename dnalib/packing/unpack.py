"""Unpack code and wheels on the machine that lacks them; copied into the pack, so plain Python.

`python unpack.py PACK WORK`: the code goes to WORK/code, the wheels of packages that the machine
has not to WORK/site. What is there already is left alone.
"""

import hashlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

CODE = "code.tar.gz"
CONTENTS = "contents.json"
RECORDS = "records"
WHEELS = "wheels"
WORK = "work"  # where `run` unpacks to, unless told otherwise
STATE = "unpacked.json"


def missing_wheels(folder: Path) -> list[Path]:
    """The wheels of packages that this machine has in no version."""
    missing = []
    for wheel in sorted(folder.glob("*.whl")):
        try:
            importlib.metadata.distribution(wheel.name.split("-")[0])
        except importlib.metadata.PackageNotFoundError:
            missing.append(wheel)
    return missing


def missing_packages(names: list[str], site: Path) -> list[str]:
    """The packages that neither this machine nor a folder of unpacked ones has."""
    path = [str(site), *sys.path]
    return [
        name for name in names if not any(importlib.metadata.distributions(name=name, path=path))
    ]


def unpack(pack: Path, work: Path) -> None:
    """Unpack a pack, unless this very pack was unpacked there by this very Python.

    Raises:
        SystemExit: the pack was made for another version of Python, pip fails, or a package is
            neither in the pack nor on the machine.
    """
    contents = json.loads((pack / CONTENTS).read_text())
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    if here != contents["python"]:
        sys.exit(
            f"this pack is for Python {contents['python']} and {sys.executable} is {here}; name "
            f"another with PYTHON=..., or make the pack with PACK_PYTHON={here}"
        )
    code = hashlib.sha256((pack / CODE).read_bytes()).hexdigest()
    state = {"python": sys.executable, "code": code, "wheels": contents["wheels"]}
    work.mkdir(parents=True, exist_ok=True)
    if (work / STATE).is_file() and json.loads((work / STATE).read_text()) == state:
        return
    for folder in ("code", "site"):
        shutil.rmtree(work / folder, ignore_errors=True)
        (work / folder).mkdir()
    with tarfile.open(pack / CODE) as archive:
        # Python before 3.11.4 has no filters; the archive is the pack's own.
        if hasattr(tarfile, "data_filter"):
            archive.extractall(work / "code", filter="data")
        else:
            archive.extractall(work / "code")
    wheels = missing_wheels(pack / WHEELS)
    if wheels:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
        command += ["--no-compile", "--no-cache-dir", "--disable-pip-version-check"]
        command += ["--target", str(work / "site"), *map(str, wheels)]
        # Under Python's own environment, not what an earlier call put into PYTHONPATH.
        if subprocess.run(command).returncode:
            sys.exit(f"pip could not unpack the wheels into {work / 'site'}")
    lacking = missing_packages(contents["needs"], work / "site")
    if lacking:
        sys.exit(
            f"this machine lacks {', '.join(lacking)}, and the pack does not carry them; make the "
            "pack with PACK_PRESENT naming only what the machine has"
        )
    print(f"unpacked {len(wheels)} wheels; {len(contents['wheels']) - len(wheels)} were there")
    part = work / f".{STATE}.{os.getpid()}"
    part.write_text(json.dumps(state))
    os.replace(part, work / STATE)


if __name__ == "__main__":
    unpack(Path(sys.argv[1]), Path(sys.argv[2]))

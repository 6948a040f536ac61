"""Which wheels a machine lacks that brings PyTorch and perhaps more, and fetching them."""

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

RUNNERS = ("papermill", "nbclient", "nbformat", "ipykernel")  # run notebooks; no pages, no workflow
CHECKS = "rigour"  # the extra with the other library of attacks, which appendices A1 and A2 run
# The kernel's debugger and completion of names: for people who type, and 8 MiB together.
INTERACTIVE = ("debugpy", "jedi", "parso")
BROUGHT = "torch"  # by the machine, with all that it needs
PYTHONS = ("3.11", "3.12", "3.13")
NEWEST_GLIBC = 28  # 2.28, of 2018; a wheel that needs a newer one is refused


class PackError(RuntimeError):
    """The pack cannot be made; the message says what is missing and what can be done."""


def needed_wheels(
    root: Path,
    *,
    python: str,
    present: Collection[str] = (),
    requirements: Callable[[str], Iterable[str]] | None = None,
) -> dict[str, str]:
    """The packages that the library and its notebooks need on a machine that has only some.

    Args:
        root: the project's folder, for pyproject.toml and requirements.lock.
        python: the machine's version, such as "3.12".
        present: names of packages that the machine has besides torch's; whatever their versions,
            they are not carried.
        requirements: what a package says it requires; None asks those installed here.

    Returns:
        The locked version of each package to carry, by name, sorted.

    Raises:
        PackError: a Python that is not accepted, or a package that is not locked.
    """
    names = set(needed_packages(root, python=python, requirements=requirements))
    names -= {canonicalize_name(name) for name in present}
    pins = locked_versions(root / "requirements.lock")
    unlocked = sorted(names - set(pins))
    if unlocked:
        raise PackError(f"requirements.lock holds no version of {', '.join(unlocked)}")
    return {name: pins[name] for name in sorted(names)}


def needed_packages(
    root: Path, *, python: str, requirements: Callable[[str], Iterable[str]] | None = None
) -> list[str]:
    """Names of the packages that the library and its notebooks need beside PyTorch's, sorted.

    Arguments and errors as in `needed_wheels`.
    """
    if python not in PYTHONS:
        raise PackError(f"Python is {python!r}; accepted are {', '.join(PYTHONS)}")
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    roots = [*project["dependencies"], *project["optional-dependencies"][CHECKS], *RUNNERS]
    look_up = requirements or installed_requirements
    brought = closure([BROUGHT], requirements=look_up, python=python)
    without = {*brought, *INTERACTIVE}
    return sorted(closure(roots, requirements=look_up, python=python, without=without))


def closure(
    roots: Iterable[str],
    *,
    requirements: Callable[[str], Iterable[str]],
    python: str,
    without: Collection[str] = (),
) -> set[str]:
    """Names of packages and of all that they require on Linux, x86-64.

    Args:
        roots: requirements such as "lightning>=2.5".
        requirements: what a package says it requires, markers and extras among it.
        python: the version that markers are judged by.
        without: names that are not looked into.
    """
    environment = target_environment(python)
    todo = [Requirement(text) for text in roots]
    found: set[str] = set()
    seen: set[tuple[str, str]] = set()
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        if name in without:
            continue
        found.add(name)
        for extra in ("", *sorted(requirement.extras)):
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            for needed in map(Requirement, requirements(name)):
                marker = needed.marker
                if marker is None or marker.evaluate({**environment, "extra": extra}):
                    todo.append(needed)
    return found


def target_environment(python: str) -> dict[str, str]:
    """What markers are judged by: CPython of a version on Linux, x86-64."""
    return {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "implementation_version": f"{python}.0",
        "platform_python_implementation": "CPython",
        "os_name": "posix",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
        "platform_release": "",
        "platform_version": "",
    }


def installed_requirements(name: str) -> list[str]:
    """What a package that is installed here says it requires.

    Raises:
        PackError: it is not installed.
    """
    try:
        return importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError as error:
        raise PackError(
            f"{name} is not installed here, so what it requires is unknown; `make pack` installs "
            "the locked packages first"
        ) from error


def locked_versions(path: Path) -> dict[str, str]:
    """Versions by name of a file of lines such as `numpy==2.4.6`."""
    lines = [line.strip() for line in path.read_text().splitlines()]
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pins}


def listed_names(path: Path) -> list[str]:
    """Names of a file of one package a line; `#` begins a comment.

    Raises:
        PackError: there is no such file.
    """
    if not path.is_file():
        raise PackError(f"{path}: there is no such list of packages")
    lines = [line.split("#")[0].strip() for line in path.read_text().splitlines()]
    return [line for line in lines if line]


def fetch_wheels(versions: dict[str, str], folder: Path, *, python: str) -> list[Path]:
    """Fetch wheels through pip as it is configured here, for a machine other than this.

    Args:
        versions: of each package, by name.
        folder: where they go.
        python: the machine's version, such as "3.12".

    Returns:
        The wheels, sorted.

    Raises:
        PackError: there is no wheel of one of them for such a machine.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if versions:
        done = subprocess.run(
            download_command(versions, folder, python=python), capture_output=True, text=True
        )
        if done.returncode:
            raise PackError(explain_failure(done.stderr, python=python))
    return sorted(folder.glob("*.whl"))


def download_command(versions: dict[str, str], folder: Path, *, python: str) -> list[str]:
    """The pip command; pip matches a platform exactly, so each that will do is named."""
    platforms = [
        "manylinux1_x86_64",
        "manylinux2010_x86_64",
        "manylinux2014_x86_64",
        *(f"manylinux_2_{minor}_x86_64" for minor in range(5, NEWEST_GLIBC + 1)),
    ]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--implementation", "cp"]
    command += ["--python-version", python, "--dest", str(folder)]
    command += [word for platform in platforms for word in ("--platform", platform)]
    return command + [f"{name}=={version}" for name, version in versions.items()]


def explain_failure(errors: str, *, python: str) -> str:
    """One sentence on why pip failed. Its own words name the index, which is nobody's business."""
    found = re.search(r"No matching distribution found for (\S+)", errors)
    if found is None:
        return "pip could not fetch the wheels; run `pip download numpy` to see why"
    return (
        f"there is no wheel of {found[1]} for Python {python} on Linux (x86-64, glibc up to "
        f"2.{NEWEST_GLIBC}); pack for another of {', '.join(PYTHONS)}, or name it in the list of "
        "what the machine has"
    )

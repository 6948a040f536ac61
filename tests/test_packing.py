"""The pack: which wheels it carries, and that what it holds is enough where there is no network."""

import ast
import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from dnalib import data, packing, synthetic
from dnalib.packing import PackError, contents, unpack, wheels
from dnalib.packing.__main__ import main
from dnalib.runs.revisions import code_revision

pytestmark = pytest.mark.slow

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
REQUIREMENTS = {
    "top": ["middle[more]>=1", "torch", "old; python_version < '3.12'", "pip-only; extra == 'x'"],
    "middle": ["shared", "bottom; extra == 'more'", "windows; sys_platform == 'win32'"],
    "bottom": ["Shared_Name", "middle"],
    "torch": ["shared", "nvidia-big; platform_system == 'Linux'"],
}


def required(name: str) -> list[str]:
    return REQUIREMENTS.get(name, [])


def test_closure_follows_markers_and_extras_of_the_target() -> None:
    found = wheels.closure(["top"], requirements=required, python="3.12", without={"torch"})
    assert found == {"top", "middle", "shared", "bottom", "shared-name"}
    older = wheels.closure(["top"], requirements=required, python="3.11", without={"torch"})
    assert older - found == {"old"}
    brought = wheels.closure(["torch"], requirements=required, python="3.12")
    assert brought == {"torch", "shared", "nvidia-big"}


@pytest.mark.parametrize("python", wheels.PYTHONS)
def test_everything_but_what_torch_brings_is_carried_at_its_pin(root: Path, python: str) -> None:
    found = wheels.needed_wheels(root, python=python)
    pins = wheels.locked_versions(root / "requirements.lock")
    assert found == {name: pins[name] for name in found}
    assert {"numpy", "wfdb", "soundfile", "lightning", "papermill", "ipykernel"} <= set(found)
    assert {"adversarial-robustness-toolbox", "scikit-learn", "joblib"} <= set(found)
    brought = {"torch", "triton", "sympy", "typing-extensions", "filelock"}
    assert not brought & set(found) and not [name for name in found if "nvidia" in name]
    unneeded = {"jupyter-book", "sphinx", "snakemake", "debugpy", "jedi", "pytest"}
    assert not unneeded & set(found)


# Only a Jupyter server, which such a machine does not run, shows the widget.
UNREACHED = {"dnalib.live.widget", "dnalib.live.attack"}


def imported(source: str, *, package: str) -> Iterator[str]:
    """Names of the modules that some code of a package imports, also those it imports late."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def sources_of(notebook: Path) -> str:
    """The code of a notebook."""
    cells = json.loads(notebook.read_text())["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def reached(root: Path) -> set[str]:
    """Modules of others that the chapters, the campaign and its benchmarks come to import."""
    codes = [sources_of(path) for path in (root / "book").glob("*.ipynb")]
    codes += [path.read_text() for path in (root / "benchmarks").glob("*.py")]
    waiting = [name for code in codes for name in imported(code, package="")]
    waiting.append("dnalib.campaign.__main__")
    seen, found = set(UNREACHED), set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        parent, _, _ = name.rpartition(".")
        if name.partition(".")[0] != "dnalib":
            found.add(name.partition(".")[0])
            continue
        waiting += [parent] if parent else []  # a package is imported with each of its modules
        place = root / Path(*name.split("."))
        for path, package in ((place.with_suffix(".py"), parent), (place / "__init__.py", name)):
            waiting += imported(path.read_text(), package=package) if path.is_file() else []
    beside = {path.stem for path in (root / "benchmarks").glob("*.py")}
    return found - set(sys.stdlib_module_names) - beside


@pytest.mark.parametrize("python", wheels.PYTHONS)
def test_all_that_the_chapters_come_to_import_is_carried_or_brought(
    root: Path, python: str
) -> None:
    modules = reached(root)
    assert {"torch", "art", "wfdb", "papermill"} <= modules
    packages = importlib.metadata.packages_distributions()
    needed = {canonicalize_name(name) for module in modules for name in packages[module]}
    brought = wheels.closure(
        [wheels.BROUGHT], requirements=wheels.installed_requirements, python=python
    )
    assert needed <= {*wheels.needed_wheels(root, python=python), *brought}


def test_what_the_machine_has_is_not_carried(root: Path) -> None:
    listed = wheels.listed_names(root / "dnalib" / "packing" / "nvidia-h100.txt")
    found = wheels.needed_wheels(root, python="3.12", present=listed)
    assert not set(found) & {"numpy", "pandas", "scipy", "lightning", "matplotlib", "pyyaml"}
    assert {"papermill", "ipykernel", "pyzmq", "wfdb", "soundfile", "pooch"} <= set(found)
    spelt = wheels.needed_wheels(root, python="3.12", present=["Jupyter_Client"])
    assert "jupyter-client" not in spelt


def test_what_cannot_be_packed_is_one_sentence(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(PackError, match=r"Python is '3.9'; accepted are 3.11, 3.12, 3.13"):
        wheels.needed_wheels(root, python="3.9")
    with pytest.raises(PackError, match=r"requirements.lock holds no version of unheard-of"):
        wheels.needed_wheels(
            root, python="3.12", requirements=lambda name: ["unheard-of"] if name == "wfdb" else []
        )
    with pytest.raises(PackError, match=r"unheard-of is not installed here"):
        wheels.installed_requirements("unheard-of")
    with pytest.raises(PackError, match=r"nowhere: there is no such list"):
        wheels.listed_names(tmp_path / "nowhere")
    errors = "Looking in indexes: https://secret\nERROR: No matching distribution found for a==1\n"
    answer = subprocess.CompletedProcess([], 1, "", errors)
    monkeypatch.setattr(subprocess, "run", lambda *words, **options: answer)
    with pytest.raises(PackError, match=r"no wheel of a==1 for Python 3.13 on Linux") as error:
        wheels.fetch_wheels({"a": "1"}, tmp_path, python="3.13")
    assert "secret" not in str(error.value)


def make_wheel(folder: Path, name: str) -> Path:
    """A wheel of one module that says where it lies."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-1.0-py3-none-any.whl"
    about = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", "print('carried')\n")
        archive.writestr(
            f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        )
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n")
        archive.writestr(f"{about}/RECORD", "")
    return path


def fetch(versions: dict[str, str], folder: Path, *, python: str) -> list[Path]:
    """In place of pip: one package that no machine has, and one that every machine has."""
    return [make_wheel(folder, name) for name in ("carried_package", "numpy")]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """A project of few files under git."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "dnalib" / "campaign").mkdir(parents=True)
    (folder / "dnalib" / "__init__.py").touch()
    (folder / "dnalib" / "campaign" / "__init__.py").touch()
    (folder / "dnalib" / "campaign" / "__main__.py").write_text(
        "import os, sys\nimport carried_package\n"
        "print(__file__, sys.argv[1:], os.environ['DNALIB_DATA'])\n"
    )
    (folder / "data" / "weights").mkdir(parents=True)
    (folder / "data" / "weights" / "large").touch()
    (folder / "untracked").touch()
    (folder / ".gitignore").write_text("ignored.py\n")
    for name in ("pyproject.toml", "requirements.lock"):
        (folder / name).write_text((root / name).read_text())
    for words in ("init -q", "add dnalib data pyproject.toml requirements.lock"):
        subprocess.run(["git", "-C", str(folder), *words.split()], check=True)
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "-C", str(folder), *identity, "commit", "-qm", "All"], check=True)
    (folder / "dnalib" / "new.py").touch()
    (folder / "dnalib" / "ignored.py").touch()
    return folder


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source") / "records"
    return synthetic.write_dataset(folder, count=12, seed=1, progress=False)


@pytest.fixture(scope="module")
def pack(project: Path, records: Path) -> Path:
    folder = project / "_build" / "pack"
    sizes = packing.make_pack(folder, root=project, python=HERE, place=records, fetch=fetch)
    assert set(sizes) == {path.name for path in folder.iterdir()}
    assert sizes["wheels"] == sum(path.stat().st_size for path in (folder / "wheels").iterdir())
    assert [path.name for path in folder.parent.iterdir()] == ["pack"], "nothing half-made stays"
    return folder


def test_packed_records_are_the_records(pack: Path, records: Path, tmp_path: Path) -> None:
    found = data.load_records(data.locate(pack / "records", root=tmp_path), cache=tmp_path / "c")
    expected = data.load_records(records, cache=tmp_path / "d", progress=False)
    assert found.digest == expected.digest and found.names == expected.names


def test_packed_code_is_the_tracked_and_the_new_files_and_their_revision(
    pack: Path, project: Path
) -> None:
    with tarfile.open(pack / "code.tar.gz") as archive:
        names = archive.getnames()
        revision = archive.extractfile("REVISION").read().decode().strip()
    assert "dnalib/campaign/__main__.py" in names and "requirements.lock" in names
    assert "dnalib/new.py" in names
    assert not {"untracked", "dnalib/ignored.py", "data/weights/large"} & set(names)
    assert revision == code_revision(project) and len(revision) == 41 and revision[-1] == "+"


def test_unpacked_code_says_the_revision_it_was_packed_from(tmp_path: Path) -> None:
    (tmp_path / "REVISION").write_text("0123+\n")
    assert code_revision(tmp_path) == "0123+"


def test_notebooks_are_packed_without_pictures(root: Path) -> None:
    path = root / "book" / "07_attacks.ipynb"
    text = contents.without_outputs(path)
    assert len(text) < 0.1 * len(path.read_text())
    cells = json.loads(text)["cells"]
    original = json.loads(path.read_text())["cells"]
    assert [cell["source"] for cell in cells] == [cell["source"] for cell in original]


def test_the_one_command_unpacks_what_is_missing_and_starts_the_campaign(
    pack: Path, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    home = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environment = {**home, "PYTHON": sys.executable, "DNALIB_WORK": str(work)}
    environment["PYTHONPATH"] = str(tmp_path / "before")

    def run() -> str:
        command = [str(pack / "run"), "--minutes", "9"]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    (tmp_path / "dnalib").mkdir()  # another copy in the current folder is not taken
    first = run()
    assert "unpacked 1 wheels; 1 were there" in first and "carried\n" in first
    assert f"{work}/code/dnalib/campaign/__main__.py" in first
    assert f"['--runs-folder', '{work}/runs', '--minutes', '9'] {pack}/records" in first
    assert {path.name for path in (work / "site").glob("*.py")} == {"carried_package.py"}
    stamp = (work / "site" / "carried_package.py").stat().st_mtime_ns
    assert "unpacked" not in run()
    assert (work / "site" / "carried_package.py").stat().st_mtime_ns == stamp


def test_only_packages_that_are_absent_in_every_version_are_unpacked(tmp_path: Path) -> None:
    fetch({}, tmp_path, python=HERE)
    assert importlib.metadata.version("numpy") != "1.0"
    assert [path.name for path in unpack.missing_wheels(tmp_path)] == [
        "carried_package-1.0-py3-none-any.whl"
    ]


def test_a_pack_for_another_python_is_refused(pack: Path, tmp_path: Path) -> None:
    (tmp_path / "contents.json").write_text(json.dumps({"python": "3.99", "wheels": []}))
    with pytest.raises(SystemExit, match=rf"for Python 3.99 and .* is {HERE}"):
        unpack.unpack(tmp_path, tmp_path / "work")
    assert not (tmp_path / "work").exists()


def test_a_package_that_the_machine_was_said_to_have_and_has_not_is_named(
    pack: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(pack, tmp_path / "pack", ignore=shutil.ignore_patterns("work"))
    about = json.loads((other / "contents.json").read_text())
    assert {"lightning", "papermill"} < set(about["needs"]) and "torch" not in about["needs"]
    about["needs"] += ["carried-package", "unheard-of"]
    (other / "contents.json").write_text(json.dumps(about))
    with pytest.raises(SystemExit, match="this machine lacks unheard-of, and the pack does not"):
        unpack.unpack(other, tmp_path / "work")


def test_python_without_filters_of_archives_unpacks_too(
    pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(tarfile, "data_filter")
    unpack.unpack(pack, tmp_path / "work")
    assert (tmp_path / "work" / "code" / "dnalib" / "new.py").is_file()


def test_what_is_no_pack_is_left_alone(project: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis").touch()
    with pytest.raises(PackError, match="mine holds something else than a pack"):
        packing.make_pack(mine, root=project, python=HERE, fetch=fetch)
    assert [path.name for path in mine.iterdir()] == ["thesis"]


def test_runs_outlive_a_pack_behind_a_link_and_one_that_fails(
    pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, link = tmp_path / "real" / "pack", tmp_path / "link"
    shutil.copytree(pack, real)
    link.symlink_to(real)
    (real / "work" / "runs").mkdir(parents=True)
    root = pack.parents[1]
    packing.make_pack(link, root=root, python=HERE, place=pack / "records", fetch=fetch)
    assert link.is_symlink() and (real / "work" / "runs").is_dir() and (real / "run").is_file()
    replace = os.replace

    def failing(source: Path, target: Path) -> None:
        if Path(source).name == "pack" and ".pack-" in str(source):
            raise OSError("no room")
        replace(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(OSError, match="no room"):
        packing.make_pack(link, root=root, python=HERE, place=pack / "records", fetch=fetch)
    assert (real / "work" / "runs").is_dir() and (real / "run").is_file()
    assert [path.name for path in real.parent.iterdir()] == ["pack"]


def test_records_that_are_asked_for_must_be_there(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.delenv("DNALIB_DATA", raising=False)
    sizes = packing.make_pack(tmp_path / "pack", root=project, python=HERE, fetch=fetch)
    assert "records" not in sizes and "Packed without records" in capsys.readouterr().out
    runs = tmp_path / "pack" / "work" / "runs"
    runs.mkdir(parents=True)
    packing.make_pack(tmp_path / "pack", root=project, python=HERE, fetch=fetch)
    assert runs.is_dir(), "what was computed in place outlives the pack"
    kept = (tmp_path / "pack" / "run").stat().st_ino
    with pytest.raises(data.DataError, match="nowhere"):
        packing.make_pack(
            tmp_path / "pack", root=project, python=HERE, place=tmp_path / "nowhere", fetch=fetch
        )
    assert (tmp_path / "pack" / "run").stat().st_ino == kept, "the earlier pack stays"


def test_the_command_line_says_what_is_wrong(capsys: pytest.CaptureFixture) -> None:
    assert main(["--python", "2.7"]) == 1
    assert capsys.readouterr().err == "error: Python is '2.7'; accepted are 3.11, 3.12, 3.13\n"

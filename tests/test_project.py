"""The files around the library: pins, citation, README, workflow."""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from dnalib import stages
from dnalib.executing import KERNEL_START_SECONDS
from dnalib.pages import numbers, write_run_pages
from dnalib.recording.showing import README_FIGURE, README_MARKS
from dnalib.runs import load_profile
from dnalib.workflow import make_plan
from dnalib.workflow.chapters import CHAPTERS
from dnalib.workflow.parts import load_resources
from dnalib.workflow.plan import BOOK


def test_kernels_have_as_long_to_start_wherever_notebooks_are_executed(root: Path) -> None:
    for name, option in (
        ("Makefile", "--nbval-kernel-startup-timeout"),
        ("Snakefile", "--start-timeout"),
    ):
        assert f"{option} {KERNEL_START_SECONDS}" in (root / name).read_text(), name


@pytest.fixture(scope="module")
def pins(root: Path) -> dict[str, str]:
    lines = (root / "requirements.lock").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_conda_and_pip_carry_the_same_pins(root: Path, pins: dict[str, str]) -> None:
    environment = yaml.safe_load((root / "environment.yml").read_text())
    (listed,) = [item["pip"] for item in environment["dependencies"] if isinstance(item, dict)]
    assert listed == [f"{name}=={version}" for name, version in pins.items()]
    assert pins["torch"] == "2.13.0"
    assert int(pins["jupyter-book"].split(".")[0]) < 2, "2.x ignores _config.yml"


def test_library_ranges_admit_the_pins(root: Path, pins: dict[str, str]) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    listed = [*project["dependencies"], *sum(project["optional-dependencies"].values(), [])]
    for text in listed:
        requirement = Requirement(text)
        assert Version(pins[requirement.name]) in requirement.specifier, text
        assert "==" not in str(requirement.specifier), "ranges, not pins"
    assert Version("2.6") in Requirement(project["dependencies"][0]).specifier
    assert project["requires-python"] == ">=3.11,<3.14"


def test_every_import_of_the_library_is_declared(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    declared = {Requirement(text).name for text in project["dependencies"]}
    for extra in ("book", "rigour"):
        declared |= {Requirement(text).name for text in project["optional-dependencies"][extra]}
    names = {"yaml": "pyyaml", "art": "adversarial-robustness-toolbox"}
    for path in (root / "dnalib").rglob("*.py"):
        for module in imported_modules(path):
            if module not in sys.stdlib_module_names and module != "dnalib":
                assert names.get(module, module) in declared, f"{path.name} imports {module}"


def imported_modules(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    found |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    return {name.split(".")[0] for name in found}


def test_imports_point_one_way(root: Path) -> None:
    package = root / "dnalib"
    imports: dict[str, set[str]] = {}
    for path in package.rglob("*.py"):
        part = path.relative_to(package).with_suffix("").parts[0]
        imports.setdefault(part, set()).update(imported_parts(path) - {part})
    tuple(TopologicalSorter(imports).static_order())  # raises where a circle of imports is
    for folder in {path.parent for path in package.rglob("*.py")} - {package}:
        inner = {path.stem: imported_beside(path, root) for path in folder.glob("[!_]*.py")}
        tuple(TopologicalSorter(inner).static_order())
    above_plots = {"live", "plots", "recording"}
    for part in imports.keys() - above_plots:
        assert not imports[part] & above_plots, f"dnalib.{part} imports {imports[part]}"


def imported_parts(path: Path) -> set[str]:
    """The modules and subpackages of dnalib that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("dnalib.")}
    return found


def imported_beside(path: Path, root: Path) -> set[str]:
    """The modules of its own package that a file imports."""
    package = ".".join(path.relative_to(root).parent.parts)
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            names = {alias.name for alias in node.names}
            if node.module == package or (node.level == 1 and not node.module):
                found |= names
            elif node.level == 1:
                found.add(node.module.split(".")[0])
            elif (node.module or "").startswith(f"{package}."):
                found.add(node.module.removeprefix(f"{package}.").split(".")[0])
    return {name for name in found if path.with_name(f"{name}.py").exists()} - {path.stem}


def test_citation_names_the_paper(root: Path) -> None:
    citation = yaml.safe_load((root / "CITATION.cff").read_text())
    assert citation["preferred-citation"]["doi"] == "10.1016/j.patter.2024.101116"
    assert "Open Data Commons Attribution" in (root / "data" / "README.md").read_text()
    assert (root / "LICENSE").read_text().startswith("MIT License")


def test_readme_numbers_come_from_the_recorded_run(root: Path) -> None:
    text = (root / "README.md").read_text()
    between = text.split(README_MARKS[0])[1].split(README_MARKS[1])[0].strip()
    assert between == numbers(stages.open_seeds({"profile": "recorded/small"}))
    assert (root / README_FIGURE).stat().st_size > 10_000
    assert len(text.splitlines()) < 150


@pytest.mark.slow
def test_first_page_shows_the_recorded_run(root: Path, tmp_path: Path) -> None:
    write_run_pages(stages.open_seeds({"profile": "recorded/small"}), tmp_path)
    assert (root / "book" / "run.md").read_text() == (tmp_path / "run.md").read_text()


def test_paths_in_the_readme_exist(root: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", (root / "README.md").read_text()):
        assert (root / target).exists(), target


@pytest.mark.slow
def test_workflow_has_one_job_a_notebook(root: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    settings = load_profile("demo")
    chapter = {**load_resources("demo")["chapter"], "cpus": None}
    plan = make_plan(settings, profile="demo", variants={BOOK: {}}, resources={"chapter": chapter})
    (tmp_path / "plan.json").write_text(json.dumps({**plan, "max_minutes": 2.5}))
    command = [
        *(sys.executable, "-m", "snakemake", "--dry-run", "--forceall", "--cores", "1"),
        *("--nolock", "--printshellcmds", "--config", f"plan={tmp_path / 'plan.json'}"),
    ]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search(rf"^chapter +{len(CHAPTERS)}$", done.stdout, re.MULTILINE)
    executed = re.findall(r"papermill book/(\w+)\.ipynb .* -p max_minutes 2.5 ", done.stdout)
    assert sorted(executed) == sorted(CHAPTERS)
    assert re.search(r"^site +1$", done.stdout, re.MULTILINE)
    assert not re.search(r"dnalib.pages .*max_minutes", done.stdout), "drawing pages takes no limit"

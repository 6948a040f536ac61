"""The revision of the code, and the word to whoever edits it that older results are served."""

import json
from functools import cache
from types import SimpleNamespace

import pytest

from dnalib.runs import ComputingRun, Stage, load_profile, revisions
from dnalib.runs.revisions import code_digest, code_revision, git, is_edited


@pytest.fixture
def project(tmp_path):
    """A repository whose library has no changes."""
    (tmp_path / "dnalib").mkdir()
    (tmp_path / "dnalib" / "attacks.py").write_text("steps = 20\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    person = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    git(tmp_path, *person, "commit", "--quiet", "--message", "first")
    return tmp_path


def edit(project):
    (project / "dnalib" / "attacks.py").write_text("steps = 40\n")


def open_run(project, meanwhile=lambda: None):
    """A run of two stages that are computed at once; `meanwhile` is done as each is."""

    def compute(run, path):
        path.write_text("x")
        meanwhile()
        return {}

    stages = {name: Stage(name, ".txt", (), (), compute) for name in ("soup", "bread")}
    return ComputingRun(
        profile="demo",
        settings=load_profile("demo"),
        folder=project / "runs" / "demo",
        root=project,
        make_stages=lambda settings: stages,
        load_dataset=lambda run: SimpleNamespace(identity="r"),
    )


def by_older_code(run, name):
    """Let an artefact say that other code made it."""
    path = run.obtain(name).path
    sidecar = path.with_name(f"{path.name}.json")
    content = json.loads(sidecar.read_text())
    assert content["code"] == code_digest()
    sidecar.write_text(json.dumps({**content, "code": "0" * 16, "revision": "abc"}))


def test_a_revision_says_whether_the_code_was_edited(project, tmp_path):
    clean = code_revision(project)
    assert len(clean) == 40 and not is_edited(project)
    edit(project)
    assert code_revision(project) == f"{clean}+" and is_edited(project)
    nowhere = tmp_path / "nowhere"
    assert code_revision(nowhere) == "no git repository" and not is_edited(nowhere)


def test_the_digest_is_of_every_module(tmp_path, monkeypatch):
    monkeypatch.setattr(revisions, "LIBRARY", tmp_path)
    found = set()
    for name, text in (("a.py", "1"), ("a.py", "2"), ("below/b.py", "2"), ("below/c.md", "2")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
        found.add(code_digest.__wrapped__())
    assert len(found) == 3, "a page is no code"


def test_whoever_edits_the_code_hears_once_of_results_by_other_code(project, capsys):
    before = open_run(project)
    for name in ("soup", "bread"):
        by_older_code(before, name)
    capsys.readouterr()
    run = open_run(project)
    run.obtain("soup")
    assert capsys.readouterr().out == "", "restored results were made by older code on purpose"
    edit(project)
    run = open_run(project)
    for one in (run, run, run.variant({"seed": 1})):
        for name in ("soup", "bread"):
            one.obtain(name)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("soup was made by other code") and "(revision abc)" in line
    assert line.endswith(f"remove {run.folder}")


def test_whoever_edits_the_code_hears_nothing_of_results_by_that_code(project, capsys):
    edit(project)
    open_run(project).obtain("soup")
    capsys.readouterr()
    open_run(project).obtain("soup")
    assert capsys.readouterr().out == ""


def test_an_artefact_names_the_code_that_its_run_was_opened_with(project, monkeypatch):
    monkeypatch.setattr(revisions, "LIBRARY", project / "dnalib")
    # As in a new process, of which nothing is kept for the next test.
    digest_now = code_digest.__wrapped__
    monkeypatch.setattr(revisions, "code_digest", cache(digest_now))
    began = {"revision": code_revision(project), "code": digest_now()}
    run = open_run(project, meanwhile=lambda: edit(project))
    for name in ("soup", "bread"):
        assert began.items() <= run.obtain(name).sidecar.items()
    assert digest_now() != began["code"] and code_revision(project) != began["revision"]

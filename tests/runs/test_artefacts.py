"""Artefacts are found again, kept apart by what made them, and never served damaged."""

import json

import pytest

from dnalib.files import file_sha256, write_json
from dnalib.runs.artefacts import artefact_path, find, identity_of, make

PARAMETERS = {"epochs": 3, "epsilons": [10.0, 50.0]}
INPUTS = {"records": "0123456789abcdef"}


def identity(**changes):
    whole = {"name": "base", "parameters": PARAMETERS, "inputs": INPUTS} | changes
    return identity_of(**whole)


def compute(path):
    path.write_bytes(b"weights")
    return {"accuracy": 0.75}


def make_base(folder, compute=compute, parameters=PARAMETERS):
    return make(
        folder,
        name="base",
        suffix=".bin",
        parameters=parameters,
        inputs=INPUTS,
        compute=compute,
        root=folder,
    )


def find_base(folder, parameters=PARAMETERS):
    return find(folder, name="base", suffix=".bin", identity=identity(parameters=parameters))


def test_an_identity_follows_everything_that_made_it():
    found = {
        identity(),
        identity(name="base2"),
        identity(parameters=PARAMETERS | {"epochs": 4}),
        identity(parameters=PARAMETERS | {"epsilons": [50.0, 10.0]}),
        identity(parameters=PARAMETERS | {"seed": 0}),
        identity(inputs=INPUTS | {"records": "0123456789abcdee"}),
        identity(inputs=INPUTS | {"features": "0"}),
    }
    assert len(found) == 7
    assert all(len(one) == 16 and int(one, 16) >= 0 for one in found)
    turned = dict(reversed(PARAMETERS.items()))
    assert identity(parameters=turned) == identity()  # the order of names is no difference


def test_what_was_made_is_found_with_its_provenance(tmp_path):
    folder = tmp_path / "run"
    assert find_base(folder) is None
    made = make_base(folder)
    found = find_base(folder)
    assert found == made
    assert found.path.read_bytes() == b"weights"
    assert found.results == {"accuracy": 0.75}
    sidecar = json.loads(found.path.with_name(found.path.name + ".json").read_text())
    assert sidecar == found.sidecar
    assert sidecar["parameters"] == PARAMETERS and sidecar["inputs"] == INPUTS
    assert sidecar["sha256"] == file_sha256(found.path)
    assert {"created", "seconds", "device", "versions", "revision", "code"} < set(sidecar)
    assert "torch" in sidecar["versions"] and "python" in sidecar["versions"]


def test_artefacts_of_other_parameters_lie_side_by_side(tmp_path):
    other = PARAMETERS | {"epochs": 4}
    first = make_base(tmp_path)
    assert find_base(tmp_path, other) is None
    second = make_base(tmp_path, parameters=other)
    assert find_base(tmp_path) == first and find_base(tmp_path, other) == second
    assert first.path != second.path and first.path.exists()


def flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[2] ^= 1
    path.write_bytes(content)


def of_another(path):
    sidecar = json.loads(path.read_text())
    path.write_text(json.dumps(sidecar | {"identity": "0" * 16}))


def of_other_results(path):
    sidecar = json.loads(path.read_text())
    path.write_text(json.dumps(sidecar | {"results": {**sidecar["results"], "added": 0.5}}))


def test_an_artefact_of_an_earlier_version_is_found(tmp_path):
    made = make_base(tmp_path)
    path = made.path.with_name(made.path.name + ".json")
    sidecar = json.loads(path.read_text())
    del sidecar["results_sha256"]
    path.write_text(json.dumps(sidecar))
    assert find_base(tmp_path).results == made.results


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [
        (".json", of_other_results),
        ("", flip_a_byte),
        ("", lambda path: path.write_bytes(b"")),
        (".json", lambda path: path.write_text(path.read_text()[:50])),
        (".json", lambda path: path.write_text("{}")),
        (".json", lambda path: path.write_text("[]")),
        (".json", lambda path: path.write_bytes(b"\xff\xfe")),
        (".json", of_another),
    ],
)
def test_a_damaged_artefact_is_reported_and_not_served(tmp_path, suffix, damage):
    made = make_base(tmp_path)
    damage(made.path.with_name(made.path.name + suffix))
    with pytest.warns(UserWarning, match="base-.*bin is damaged; it is made again"):
        assert find_base(tmp_path) is None
    make_base(tmp_path)
    assert find_base(tmp_path).path.read_bytes() == b"weights"


@pytest.mark.parametrize("suffix", ["", ".json"])
def test_half_an_artefact_is_none(tmp_path, suffix):
    made = make_base(tmp_path)
    made.path.with_name(made.path.name + suffix).unlink()
    assert find_base(tmp_path) is None


def test_a_computation_that_fails_leaves_nothing(tmp_path):
    def fail(path):
        path.write_bytes(b"half")
        raise RuntimeError("no more memory")

    def forget(path):
        return {}

    for bad, error in ((fail, RuntimeError), (forget, FileNotFoundError)):
        with pytest.raises(error):
            make_base(tmp_path, compute=bad)
        assert list(tmp_path.iterdir()) == []


def test_a_computation_that_fails_leaves_what_was_there(tmp_path):
    made = make_base(tmp_path)

    def fail(path):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        make_base(tmp_path, compute=fail)
    assert find_base(tmp_path) == made


def test_nothing_stands_under_its_name_before_it_is_whole(tmp_path):
    def watch(path):
        path.write_bytes(b"whole")
        assert path.parent == tmp_path and path.name.startswith(".")
        target = artefact_path(tmp_path, name="base", suffix=".bin", identity=identity())
        assert not target.exists() and path != target
        return {}

    make_base(tmp_path, compute=watch)
    assert find_base(tmp_path).path.read_bytes() == b"whole"
    assert len(list(tmp_path.iterdir())) == 2


def test_json_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "some.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]

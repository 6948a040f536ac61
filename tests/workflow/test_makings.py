"""What stages took, read from the provenance of a run's artefacts."""

import json

import pytest

from dnalib.runs import load_profile
from dnalib.runs.run import identities
from dnalib.runs.settings import override
from dnalib.stages import all_stages
from dnalib.workflow.makings import makings_of

SMALL = load_profile("small")


def put(folder, name, *, seconds, seed=0, records="r", **changes):
    """An artefact of a run with another seed, or other settings, as far as its seconds matter."""
    settings = override(SMALL, {"seed": seed, **changes})
    stages = all_stages(settings)
    identity = identities(stages, settings, records=records)(name)
    sidecar = {
        "name": name,
        "identity": identity,
        "inputs": {"records": records},
        "seconds": seconds,
        "device": "CPU, 1 threads",
        "created": "2026-11-28T10:00:00+00:00",
    }
    path = folder / f"{name}-{identity}{stages[name].suffix}"
    path.write_bytes(b"artefact")
    path.with_name(path.name + ".json").write_text(json.dumps(sidecar))


def test_the_first_seed_counts_and_other_settings_do_not(tmp_path):
    put(tmp_path, "base", seconds=5.0)
    put(tmp_path, "base", seconds=7.0, seed=1)
    put(tmp_path, "dec1", seconds=9.0, seed=1)
    put(tmp_path, "dec1", seconds=99.0, decorrelation_weight=0.8)
    made = makings_of(tmp_path, SMALL, seeds=(0, 1))
    assert (made["base"].seconds, made["base"].seed) == (5.0, 0)
    assert (made["dec1"].seconds, made["dec1"].seed, made["dec1"].date) == (9.0, 1, "2026-11-28")
    assert made["base"].bytes > len(b"artefact")


def test_what_nobody_made_counts_as_what_does_the_same_work(tmp_path):
    put(tmp_path, "dec2", seconds=5.0)
    put(tmp_path, "perturbations-mask-10", seconds=2.0)
    put(tmp_path, "perturbations-mask-150", seconds=3.0)
    made = makings_of(tmp_path, SMALL, seeds=(0,))
    assert made["dec2-swapped"] == made["dec2"]
    assert made["perturbations-mask-75"].stage == "perturbations-mask-150"
    assert "perturbations-strip-75" not in made and "fdec2" not in made


@pytest.mark.parametrize("epsilon", [37.5, 1e-05, 2e06])
def test_strengths_need_not_be_whole(tmp_path, epsilon):
    changes = {"adaptive_epsilons": (25.0, epsilon)}
    put(tmp_path, "adaptive-cor-25", seconds=2.0, **changes)
    made = makings_of(tmp_path, override(SMALL, changes), seeds=(0,))
    assert made[f"adaptive-cor-{epsilon:g}"].stage == "adaptive-cor-25"
    assert f"adaptive-dec-{epsilon:g}" not in made and "base" not in made


def test_results_on_two_data_sets_are_refused(tmp_path):
    put(tmp_path, "base", seconds=5.0)
    put(tmp_path, "base", seconds=5.0, records="others")
    with pytest.raises(ValueError, match="has results on 2 data sets; one is needed"):
        makings_of(tmp_path, SMALL, seeds=(0,))

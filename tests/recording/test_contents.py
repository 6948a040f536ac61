"""Which stages are recorded of a run and of its further seeds."""

import dataclasses

from tiny import SETTINGS

from dnalib.recording.contents import shown_of_each_seed


def test_every_seed_is_shown_at_the_middle_and_the_largest_epsilon():
    settings = dataclasses.replace(SETTINGS, adaptive_epsilons=(10.0, 50.0, 150.0))
    names = shown_of_each_seed(settings)
    expected = {"adaptive": ["50", "150"], "longer": ["50"], "longer-smooth": ["150"]}
    for ensemble in ("control", "cor", "dec", "fcor", "fdec"):
        for kind, bounds in expected.items():
            at = [name for name in names if name.startswith(f"{kind}-{ensemble}-")]
            assert at == [f"{kind}-{ensemble}-{epsilon}" for epsilon in bounds]

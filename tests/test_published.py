"""What is kept of the published files is what they hold."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from dnalib import losses, published
from dnalib.stages import ENSEMBLES

PUBLISHED = Path(__file__).resolve().parents[1].parent / "shared" / "reference" / "published"
# Best test accuracy over the epochs, from the authors' training histories.
BEST_EPOCH = {"fcor1": 0.8605, "fcor2": 0.8394, "fdec1": 0.8511, "fdec2": 0.8277}
present = pytest.mark.skipif(
    not PUBLISHED.is_dir(), reason="the authors' published features and histories are not here"
)


def test_best_epochs_are_those_of_the_histories() -> None:
    histories = published.accuracy_histories()
    assert histories.keys() == BEST_EPOCH.keys()
    for name, accuracy in histories.items():
        assert accuracy.shape == (200,)
        assert accuracy.max() == pytest.approx(BEST_EPOCH[name], abs=5e-5)


@present
def test_histories_are_the_published_ones() -> None:
    for name, accuracy in published.accuracy_histories().items():
        held = np.load(PUBLISHED / "histories" / f"{name[:-1]}_model{name[-1]}.npz")
        np.testing.assert_allclose(100 * accuracy, held["acc_history"], atol=1e-6)


@present
def test_r_squared_is_that_of_the_published_features() -> None:
    def features(member: str) -> torch.Tensor:
        name = "best_model" if member == "base" else f"{member[:-1]}_model{member[-1]}"
        return torch.from_numpy(np.load(PUBLISHED / "features" / f"{name}.npy"))

    held = json.loads((PUBLISHED / "r_squared.json").read_text())
    order, values = held["regressor_rows"], np.array(held["r_squared"])
    for ensemble, members in ENSEMBLES.items():
        places = [order.index(member) for member in members]
        np.testing.assert_array_equal(published.R_SQUARED[ensemble], values[np.ix_(places, places)])
    base, dec1 = features("base"), features("dec1")
    assert base.shape == (published.FEATURE_ROWS, published.FEATURES)
    assert losses.r_squared(base, dec1) == pytest.approx(published.R_SQUARED["dec"][0][1], abs=6e-5)
    assert losses.r_squared(dec1, base) == pytest.approx(published.R_SQUARED["dec"][1][0], abs=6e-5)

"""R² against NumPy's SVD fit and known values."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from feature_pairs import CASES, random_features, related, sums_by_svd

from dnalib.losses import adjusted_for_chance, adjusted_r_squared, r_squared

PUBLISHED = Path(__file__).resolve().parents[3] / "shared" / "reference" / "published"


@pytest.mark.parametrize("make", CASES)
@pytest.mark.parametrize("seed", range(3))
def test_r_squared_agrees_with_an_svd(make, seed):
    regressor, regressand = make(seed)
    regressor = regressor[:, :50]
    residual, total = sums_by_svd(regressor, regressand)
    assert r_squared(regressor, regressand) == pytest.approx(1 - residual / total, abs=1e-4)
    rank = np.linalg.matrix_rank((regressor - regressor.mean(0)).numpy(), tol=1e-6)
    adjusted = 1 - residual / total * 79 / (79 - rank)
    assert adjusted_r_squared(regressor, regressand) == pytest.approx(adjusted, abs=3e-4)


def test_r_squared_does_not_change_with_the_regressors_coordinates():
    regressor, regressand = related(records=200)
    value = r_squared(regressor, regressand)
    assert 0.2 < value < 0.9
    invertible = random_features(64, seed=7)
    assert r_squared(regressor @ invertible + 3, regressand) == pytest.approx(value, abs=1e-6)
    assert r_squared(regressor, -4 * regressand + 11) == pytest.approx(value, abs=1e-9)
    # ... but it does with the regressand's, whose columns are weighed by their variance.
    stretched = regressand * torch.linspace(-2, 2, 64).exp()
    assert abs(r_squared(regressor, stretched) - value) > 0.001


def test_r_squared_is_not_symmetric():
    wide = random_features(2000, 4)
    narrow = wide[:, :1].repeat(1, 4)  # one of the four directions
    assert r_squared(wide, narrow) == pytest.approx(1, abs=1e-6)
    assert r_squared(narrow, wide) == pytest.approx(0.25, abs=0.02)


def test_the_chance_level_of_independent_features():
    values, adjusted = [], []
    for seed in range(40):
        regressor = random_features(64, 32, seed=seed)
        regressand = random_features(64, seed=seed + 99)
        values.append(r_squared(regressor, regressand))
        adjusted.append(adjusted_r_squared(regressor, regressand))
    # Expected: 32 columns of 63 degrees of freedom.
    assert np.mean(values) == pytest.approx(32 / 63, abs=0.005)
    assert np.mean(adjusted) == pytest.approx(0, abs=0.01)


def few_directions(records, live, *, how, seed):
    """float32 features, as a network gives them, of which only so many are independent."""
    features = random_features(records, seed=seed)
    if how == "dead":
        features[:, live:] = 0
    elif how == "constant":
        features[:, live:] = 0.1
    elif how == "repeated":
        features = features[:, torch.arange(64) % live]
    else:
        features = features[:, :live] @ random_features(live, 64, seed=seed + 1000)
    return features.float()


@pytest.mark.parametrize("how", ["dead", "constant", "repeated", "mixed"])
@pytest.mark.parametrize("records, live", [(80, 10), (80, 20), (853, 10), (853, 20)])
def test_columns_that_add_nothing_do_not_lower_the_chance_level(records, live, how):
    found = [
        adjusted_r_squared(
            few_directions(records, live, how=how, seed=seed),
            random_features(records, seed=seed + 500),
        )
        for seed in range(40)
    ]
    # Counted as 64 columns, they would score some −0.06 at 853 records, and −3 at 80.
    assert np.mean(found) == pytest.approx(0, abs=4 * np.std(found) / 40**0.5)
    assert np.std(found) / 40**0.5 < 0.002


@pytest.mark.parametrize("records", [80, 853])
def test_the_adjustment_of_independent_columns_counts_them_all(records):
    regressor, regressand = related(seed=1, records=records)
    for one in (regressor, regressor.float()):
        plain = r_squared(one, regressand)
        expected = adjusted_for_chance(plain, records=records, columns=64)
        assert adjusted_r_squared(one, regressand) == expected


def test_a_regressor_that_never_changes_explains_nothing():
    assert r_squared(torch.full((80, 64), 0.1), random_features()) == 0
    assert adjusted_r_squared(torch.full((80, 64), 0.1), random_features()) == 0


@pytest.mark.golden
def test_r_squared_of_the_published_features():
    if not PUBLISHED.is_dir():
        pytest.skip("the published features are not here: no ../shared/reference/published")
    table = json.loads((PUBLISHED / "r_squared.json").read_text())
    names = table["regressor_rows"]
    files = {
        name: "best_model" if name == "base" else f"{name[:-1]}_model{name[-1]}" for name in names
    }
    features = {
        name: torch.from_numpy(np.load(PUBLISHED / "features" / f"{file}.npy"))
        for name, file in files.items()
    }
    for row, regressor in enumerate(names):
        for column, regressand in enumerate(names):
            found = r_squared(features[regressor], features[regressand])
            assert found == pytest.approx(table["r_squared"][row][column], abs=1e-3)
    adjusted = adjusted_r_squared(features["base"], features["dec1"])
    assert adjusted < r_squared(features["base"], features["dec1"])


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_features_that_are_not_finite_have_no_r_squared(value):
    whole, broken = random_features(), random_features(seed=1)
    broken[3, 5] = value
    with pytest.raises(ValueError, match="regressand holds a value that is not finite; accepted"):
        r_squared(whole, broken)
    for measure in (r_squared, adjusted_r_squared):
        with pytest.raises(ValueError, match="regressor holds a value that is not finite"):
            measure(broken, whole)


def test_a_constant_regressand_has_no_r_squared():
    assert np.isnan(r_squared(random_features(), torch.ones(80, 64)))
    assert np.isnan(adjusted_r_squared(random_features(), torch.ones(80, 64)))


def test_one_axis_is_refused_by_the_adjusted_share_as_well():
    with pytest.raises(ValueError, match=r"\(80,\)"):
        adjusted_r_squared(random_features(80)[:, 0], random_features(80))

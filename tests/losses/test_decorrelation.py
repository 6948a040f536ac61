"""The decorrelation loss against NumPy's SVD fit, finite differences and known values."""

import functools
import re

import numpy as np
import pytest
import torch
from feature_pairs import CASES, random_features, related, sums_by_svd
from torch.utils._python_dispatch import TorchDispatchMode

from dnalib.losses import (
    adjusted_r_squared,
    chance_loss,
    decorrelation_loss,
    draw_projections,
    fits,
    mutual_decorrelation,
    projected_decorrelation,
    projected_least_squares,
    projected_loss,
    r_squared,
)
from dnalib.losses.fits import cholesky_factor
from dnalib.training.objectives import mean_decorrelation


@pytest.mark.parametrize("make", CASES)
def test_the_loss_agrees_with_an_svd(make):
    regressor, regressand = make()
    projection = random_features(64, 50, seed=9) / 8
    residual, total = sums_by_svd(regressor @ projection, regressand)
    expected = np.log(total + 1e-5) - np.log(residual + 1e-5)
    loss = projected_loss(regressor, regressand, projection=projection)
    assert loss.item() == pytest.approx(expected, abs=1e-4)
    assert loss.dtype == torch.float64 and loss.shape == ()
    # float32 features, as training gives them
    single = projected_loss(regressor.float(), regressand.float(), projection=projection)
    assert single.item() == pytest.approx(expected, abs=1e-3)


def test_the_gradient_agrees_with_finite_differences():
    regressor, regressand = random_features(14, 5), random_features(14, 4, seed=1)
    projection = random_features(5, 3, seed=2)
    regressor.requires_grad_()
    regressand.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x, y: projected_loss(x, y, projection=projection), (regressor, regressand)
    )


@pytest.mark.parametrize("rank", [0, 1, 20, 64])
def test_the_gradient_stays_finite_when_features_are_dead(rank):
    fixed = random_features(seed=5)
    for seed in range(6):  # both directions occur
        features = random_features()
        features[:, rank:] = 0
        features.requires_grad_()
        generator = torch.Generator().manual_seed(seed)
        loss = decorrelation_loss(features, [fixed], generator=generator)
        (gradient,) = torch.autograd.grad(loss, features)
        assert torch.isfinite(loss) and torch.isfinite(gradient).all()


def test_a_perfect_fit_has_a_finite_loss():
    features = random_features(80, 20)
    projection = random_features(20, 20, seed=3)
    loss = projected_loss(features, features, projection=projection).item()
    total = (features - features.mean(0)).square().sum().item()
    assert loss == pytest.approx(np.log(total + 1e-5) - np.log(1e-5), abs=1e-3)


def terms(features, fixed):
    """The loss for either direction, where the projection keeps every column and so drops out."""
    identity = torch.eye(features.shape[1], dtype=torch.float64)
    return (
        projected_loss(features, fixed, projection=identity).item(),
        projected_loss(fixed, features, projection=identity).item(),
    )


def test_features_that_share_nothing_have_the_loss_of_chance():
    generator = torch.Generator().manual_seed(0)
    for records, columns in ((80, 50), (200, 10)):
        drawn = torch.randn(30, 2, records, 64, generator=generator, dtype=torch.float64)
        found = [
            decorrelation_loss(one, [other], projected_dimension=columns, generator=generator)
            for one, other in drawn
        ]
        expected = chance_loss(records=records, columns=columns)
        assert torch.stack(found).mean().item() == pytest.approx(expected, rel=0.02)
    for columns in (79, 80):
        with pytest.raises(ValueError, match=f"columns is {columns}; accepted are 0 to 78 of 80"):
            chance_loss(records=80, columns=columns)


def test_each_direction_is_taken_half_of_the_time():
    features, fixed = random_features(60, 6), random_features(60, 6, seed=1)
    fixed[:, 0] = features[:, 0]
    fixed[:, 1] = 0
    forward, backward = terms(features, fixed)
    assert abs(forward - backward) > 0.01
    found = [
        decorrelation_loss(
            features, [fixed], projected_dimension=6, generator=torch.Generator().manual_seed(seed)
        ).item()
        for seed in range(200)
    ]
    as_regressor = np.isclose(found, forward, atol=1e-6)
    assert (as_regressor | np.isclose(found, backward, atol=1e-6)).all()
    assert 70 <= as_regressor.sum() <= 130  # a fair coin leaves this once in 40,000


def test_the_loss_is_the_mean_over_earlier_models():
    features = random_features(60, 6)
    earlier = [
        features @ random_features(6, 6, seed=s) + (s + 1) * random_features(60, 6, seed=20 + s)
        for s in range(3)
    ]
    possible = [terms(features, fixed) for fixed in earlier]
    means = [
        np.mean([pair[c] for pair, c in zip(possible, choice, strict=True)])
        for choice in np.ndindex(2, 2, 2)
    ]
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        found = decorrelation_loss(features, earlier, projected_dimension=6, generator=generator)
        assert np.abs(np.array(means) - found.item()).min() < 1e-6
    assert np.ptp(means) > 0.01


def test_the_loss_follows_its_generator_alone():
    one, other = related()
    torch.manual_seed(0)
    first = decorrelation_loss(one, [other], generator=torch.Generator().manual_seed(3))
    torch.manual_seed(1)
    again = decorrelation_loss(one, [other], generator=torch.Generator().manual_seed(3))
    another = decorrelation_loss(one, [other], generator=torch.Generator().manual_seed(4))
    assert first == again and first != another


def test_projections_are_fresh_and_have_the_published_scale():
    generator = torch.Generator().manual_seed(0)
    drawn = draw_projections(
        steps=9, models=2, features=64, projected_dimension=50, generator=generator
    )
    assert drawn.matrices.shape == (9, 2, 64, 50)
    assert len({matrix.sum().item() for step in drawn.matrices for matrix in step}) == 18
    assert drawn.matrices.std().item() == pytest.approx(1 / 8, rel=0.02)
    assert drawn.matrices.mean().item() == pytest.approx(0, abs=0.005)
    assert len(drawn.current_is_regressor) == 9
    assert {len(choices) for choices in drawn.current_is_regressor} == {2}
    assert {choice for choices in drawn.current_is_regressor for choice in choices} == {True, False}


def test_all_earlier_models_at_once_are_each_by_itself():
    features, earlier = related()[0].float(), [related(seed)[1].float() for seed in (3, 4, 5)]
    features.requires_grad_()
    generator = torch.Generator().manual_seed(2)
    drawn = draw_projections(
        steps=4, models=3, features=64, projected_dimension=50, generator=generator
    )
    for step, choices in enumerate(drawn.current_is_regressor):
        terms = []
        for choice, fixed, matrix in zip(choices, earlier, drawn.matrices[step], strict=True):
            x, y = (features, fixed) if choice else (fixed, features)
            terms.append(projected_loss(x, y, projection=matrix))
        together = projected_decorrelation(features, earlier, drawn, step=step)
        assert together.item() == pytest.approx(sum(terms).item() / 3, rel=1e-9)
        (found,) = torch.autograd.grad(together, features)
        (expected,) = torch.autograd.grad(sum(terms) / 3, features)
        torch.testing.assert_close(found, expected)


def test_a_swap_that_persists_leaves_later_terms_without_a_gradient():
    features = related()[0].requires_grad_()
    earlier = [related(seed)[1] for seed in (3, 4, 5)]
    drawn = draw_projections(
        steps=12, models=3, features=64, projected_dimension=50, generator=torch.Generator()
    )
    lengths = set()
    for step, choices in enumerate(drawn.current_is_regressor):
        # The loop of the journal version's code: what is swapped stays swapped.
        current, terms = features, []
        for choice, other, matrix in zip(choices, earlier, drawn.matrices[step], strict=True):
            x, y = (current, other) if choice else (other, current)
            terms.append(projected_loss(x, y, projection=matrix))
            if not choice:
                current = other
        (expected,) = torch.autograd.grad(sum(terms) / 3, features)
        loss = mean_decorrelation(features, earlier, drawn, step=step, swap_persists=True)
        (found,) = torch.autograd.grad(loss, features)
        torch.testing.assert_close(found, expected)
        lengths.add(len(drawn.until_swap(step).current_is_regressor[0]))
    assert lengths == {1, 2, 3}
    whole = projected_decorrelation(features, earlier, drawn, step=0)
    assert torch.equal(
        whole, mean_decorrelation(features, earlier, drawn, step=0, swap_persists=False)
    )


class OnTheDeviceOnly(TorchDispatchMode):
    """Refuses what would make the host wait: reading a value, and factorisations that check."""

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        name = function.name()
        assert not name.startswith(("aten::_local_scalar_dense", "aten::is_nonzero")), name
        if "cholesky_ex" in name:
            assert not (keywords or {}).get("check_errors", False)
        assert name not in ("aten::linalg_cholesky", "aten::linalg_eigh", "aten::_linalg_svd")
        return function(*arguments, **(keywords or {}))


def factor_unseen(gram, ridge, *, wait):
    """The factor as it is taken on other devices than the CPU."""
    return cholesky_factor(gram, ridge, wait=False)


def test_a_step_never_waits_for_the_device(monkeypatch):
    features = random_features().float().requires_grad_()
    earlier = [random_features(seed=1).float(), random_features(seed=2).float()]
    drawn = draw_projections(
        steps=1, models=2, features=64, projected_dimension=50, generator=torch.Generator()
    )
    step = functools.partial(projected_decorrelation, features, earlier, drawn, step=0)
    with OnTheDeviceOnly():
        with pytest.raises(AssertionError, match="is_nonzero|local_scalar"):
            step()  # looks at a failed factor before it takes another, as the CPU may
        monkeypatch.setattr(fits, "cholesky_factor", factor_unseen)
        step().backward()
        with pytest.raises(AssertionError, match="local_scalar"):
            features.sum().item()


def row_sparse(seed, *, rows, records=80):
    """Features of which a few records have any."""
    features = torch.zeros(records, 64, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    live = torch.randperm(records, generator=generator)[:rows]
    features[live] = random_features(rows, seed=seed)
    return features


def heavy_tailed(seed, *, rows, records=80):
    """As `row_sparse`, each of these records some orders of magnitude larger than the last."""
    features = row_sparse(seed, rows=rows, records=records)
    features[features.any(dim=1)] *= torch.logspace(0, 8, rows, dtype=torch.float64)[:, None]
    return features


def loss_and_gradients(loss, *features):
    """The loss of copies of these features, and the largest element of its gradients."""
    leaves = [one.clone().requires_grad_() for one in features]
    value = loss(*leaves)
    gradients = torch.autograd.grad(value, leaves)
    return value.item(), max(one.abs().max().item() for one in gradients)


def loss_by_svd(regressor, regressand):
    residual, total = sums_by_svd(regressor, regressand)
    return np.log(total + 1e-5) - np.log(residual + 1e-5)


@pytest.mark.parametrize("wait", [True, False])
@pytest.mark.parametrize("rows", [1, 2, 3, 5])
@pytest.mark.parametrize("make, within", [(row_sparse, 1e-6), (heavy_tailed, 0.03)])
def test_few_records_that_excite_any_feature_leave_a_true_loss(
    monkeypatch, make, within, rows, wait
):
    if not wait:
        monkeypatch.setattr(fits, "cholesky_factor", factor_unseen)
    for seed in range(20):
        few, others = make(seed, rows=rows), random_features(seed=seed + 100)
        projection = random_features(64, 50, seed=seed + 200) / 8
        for x, y in ((few, others), (others, few)):
            expected = loss_by_svd(x @ projection, y)
            loss = functools.partial(projected_loss, projection=projection)
            found, gradient = loss_and_gradients(loss, x, y)
            assert found == pytest.approx(expected, abs=within)
            assert found >= -1e-6 and gradient < 100

        expected = (loss_by_svd(few, others) + loss_by_svd(others, few)) / 2
        found, gradient = loss_and_gradients(lambda *both: mutual_decorrelation(both), few, others)
        assert found == pytest.approx(expected, abs=within)
        assert found >= -1e-6 and gradient < 100


@pytest.mark.parametrize("records", [80, 853])
def test_a_factor_that_fails_spoils_none_of_its_batch(records):
    generator = torch.Generator().manual_seed(0)
    drawn = draw_projections(
        steps=2, models=30, features=64, projected_dimension=50, generator=generator
    )
    sparse = [row_sparse(seed, rows=1, records=records) for seed in range(15)]
    earlier = sparse + [random_features(records, seed=seed + 50) for seed in range(15)]
    features = random_features(records, seed=99)
    for step, choices in enumerate(drawn.current_is_regressor):
        expected = []
        for choice, other, matrix in zip(choices, earlier, drawn.matrices[step], strict=True):
            x, y = (features, other) if choice else (other, features)
            expected.append(loss_by_svd(x @ matrix.double(), y))
        found = projected_decorrelation(features, earlier, drawn, step=step)
        assert found.item() == pytest.approx(np.mean(expected), abs=1e-6)


def fit_without_a_second_factor(x, y, projection):
    """The fit where the factor succeeds, operation by operation."""
    projected = x @ projection
    moments = projected.mT @ torch.cat([projected, y], dim=-1)
    gram, cross = moments[..., : projection.shape[-1]], moments[..., projection.shape[-1] :]
    ridge = max(3e-14, 1e-16 * x.shape[-2])
    gram.diagonal(dim1=-2, dim2=-1).mul_(1 + ridge).add_(torch.finfo(torch.float64).tiny)
    factor, failed = torch.linalg.cholesky_ex(gram)
    sides = torch.cat([cross, projection.mT], dim=-1)
    halves = torch.linalg.solve_triangular(factor, sides, upper=False)
    return halves[..., y.shape[-1] :].mT @ halves[..., : y.shape[-1]], failed


@pytest.mark.parametrize("wait", [True, False])
@pytest.mark.parametrize("records", [80, 853])
def test_a_second_factor_changes_no_fit_that_has_a_first(monkeypatch, records, wait):
    if not wait:
        monkeypatch.setattr(fits, "cholesky_factor", factor_unseen)
    ordinary = CASES if records == 80 else [functools.partial(related, records=records)]
    pairs = [make(seed) for make in ordinary for seed in range(8)]
    pairs += [2 * (row_sparse(seed, rows=1, records=records),) for seed in range(8)]
    x, y = (torch.stack(side) for side in zip(*pairs, strict=True))
    x, y = x - x.mean(dim=-2, keepdim=True), y - y.mean(dim=-2, keepdim=True)
    projection = torch.stack([random_features(64, 50, seed=seed) / 8 for seed in range(len(pairs))])
    expected, failed = fit_without_a_second_factor(x, y, projection)
    found = projected_least_squares(x, y, projection)
    assert torch.equal(found[failed == 0], expected[failed == 0])
    assert (failed[:-8] == 0).all() and (failed[-8:] > 0).any()
    ordinary = [one[:-8] for one in (x, y, projection)]  # a batch of which none fails
    expected, _ = fit_without_a_second_factor(*ordinary)
    assert torch.equal(projected_least_squares(*ordinary), expected)


@pytest.mark.parametrize("collinearity", [1.0, 1e-1, 1e-2, 1e-3, 1e-4])
@pytest.mark.parametrize("seed", range(3))
def test_float32_features_agree_with_an_exact_fit_however_collinear(collinearity, seed):
    # All but eight directions are small: forty-two of the fifty projected ones.
    large = random_features(80, 8, seed=seed) @ random_features(8, seed=seed + 10)
    features = (large + collinearity * random_features(seed=seed + 20)).float()
    fixed = (0.5 * features + random_features(seed=seed + 30)).float()
    projection = random_features(64, 50, seed=seed + 40) / 8
    for regressor, regressand in ((features, fixed), (fixed, features)):
        x = regressor.double() - regressor.double().mean(0)
        y = regressand.double() - regressand.double().mean(0)
        basis, _ = torch.linalg.qr(x @ projection)
        residual = y - basis @ (basis.T @ y)
        expected = torch.log(y.square().sum() + 1e-5) - torch.log(residual.square().sum() + 1e-5)
        found = projected_loss(regressor, regressand, projection=projection)
        assert found.item() == pytest.approx(expected.item(), abs=1e-4)


def test_steps_down_the_loss_lower_r_squared():
    fixed = random_features(200, 8)
    features = fixed @ random_features(8, 8, seed=1) + 0.3 * random_features(200, 8, seed=2)
    before = r_squared(features, fixed), r_squared(fixed, features)
    features.requires_grad_()
    optimizer = torch.optim.Adam([features], lr=0.2)
    generator = torch.Generator().manual_seed(0)
    for _ in range(100):
        optimizer.zero_grad()
        decorrelation_loss(features, [fixed], projected_dimension=6, generator=generator).backward()
        optimizer.step()
    after = r_squared(features.detach(), fixed), r_squared(fixed, features.detach())
    assert min(before) > 0.7
    assert max(after) < 0.1


def test_arguments_that_do_not_fit_are_refused():
    generator = torch.Generator()
    enough, few = random_features(52), random_features(51)
    decorrelation_loss(enough, [enough], generator=generator)
    with pytest.raises(ValueError, match="51 records; a fit on 51 columns needs at least 52"):
        decorrelation_loss(few, [few], generator=generator)
    with pytest.raises(ValueError, match="65 records; a fit on 65 columns needs at least 66"):
        r_squared(random_features(65), random_features(65))
    with pytest.raises(ValueError, match=r"\(80, 64\) and \(79, 64\)"):
        decorrelation_loss(random_features(80), [random_features(79)], generator=generator)
    with pytest.raises(ValueError, match=r"\(80,\)"):
        r_squared(random_features(80)[:, 0], random_features(80))
    with pytest.raises(ValueError, match="40 records; a fit on 51 columns needs at least 52"):
        projected_loss(random_features(40), random_features(40), projection=torch.ones(64, 50))
    with pytest.raises(ValueError, match=r"projection has shape \(32, 50\); .* 64 rows"):
        projected_loss(enough, enough, projection=torch.ones(32, 50))
    with pytest.raises(ValueError, match="at least one earlier model"):
        decorrelation_loss(enough, [], generator=generator)
    with pytest.raises(ValueError, match="generator is of type NoneType; accepted is a torch.Gen"):
        decorrelation_loss(enough, [enough], generator=None)  # PyTorch would draw from its own
    for dimension in (0, 65):
        with pytest.raises(ValueError, match="projected_dimension is .* 1 to 64"):
            decorrelation_loss(enough, [enough], projected_dimension=dimension, generator=generator)


def test_arrays_are_refused_by_their_names():
    generator, tensor, array = torch.Generator(), random_features(80), np.zeros((80, 64))

    def refused(name, call, *arguments, **options):
        with pytest.raises(ValueError, match=rf"^{re.escape(name)} is of type ndarray; accepted"):
            call(*arguments, **options)

    refused("features", decorrelation_loss, array, [tensor], generator=generator)
    refused("earlier[1]", decorrelation_loss, tensor, [tensor, array], generator=generator)
    refused("features[1]", mutual_decorrelation, [tensor, array])
    projection = torch.ones(64, 50)
    refused("regressor", projected_loss, array, tensor, projection=projection)
    refused("regressand", projected_loss, tensor, array, projection=projection)
    refused("projection", projected_loss, tensor, tensor, projection=projection.numpy())
    for measure in (r_squared, adjusted_r_squared):
        refused("regressor", measure, array, tensor)
        refused("regressand", measure, tensor, array)


def test_features_of_another_width_are_always_refused():
    for seed in range(10):
        generator = torch.Generator().manual_seed(seed)
        with pytest.raises(ValueError, match="features have 64 and 32 columns"):
            decorrelation_loss(
                torch.randn(80, 64),
                [torch.randn(80, 32)],
                projected_dimension=20,
                generator=generator,
            )
    with pytest.raises(ValueError, match="features have 64 and 32 columns; accepted are as many"):
        mutual_decorrelation([torch.randn(80, 64), torch.randn(80, 32)])


@pytest.mark.parametrize("records", [80, 853, 9589])
@pytest.mark.parametrize("rank", [1, 2, 20])
def test_features_of_few_directions_have_a_true_share_over_any_number_of_records(records, rank):
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        latent = torch.randn(records, rank, generator=generator, dtype=torch.float64).add(1).relu()
        regressor = latent @ torch.rand(rank, 64, generator=generator, dtype=torch.float64)
        noise = torch.randn(records, 64, generator=generator, dtype=torch.float64)
        regressand = regressor + 2 * noise
        residual, total = sums_by_svd(regressor, regressand)
        expected = 1 - residual / total
        assert r_squared(regressor, regressand) == pytest.approx(expected, abs=1e-6)
        projection = random_features(64, 50, seed=seed) / 8
        loss = projected_loss(regressor, regressand, projection=projection).item()
        assert loss == pytest.approx(-np.log(1 - expected), abs=1e-3)


def test_mutual_decorrelation_is_the_mean_over_ordered_pairs():
    features = list(torch.randn(3, 90, 7, dtype=torch.float64).requires_grad_(True).unbind())
    everything = torch.eye(7, dtype=torch.float64)
    pairs = [(x, y) for x in features for y in features if x is not y]
    expected = torch.stack([projected_loss(x, y, projection=everything) for x, y in pairs]).mean()
    found = mutual_decorrelation(features)
    assert found.item() == pytest.approx(expected.item())
    for one, other in zip(
        torch.autograd.grad(found, features, retain_graph=True),
        torch.autograd.grad(expected, features),
        strict=True,
    ):
        assert torch.allclose(one, other, rtol=1e-6, atol=1e-12)


def test_mutual_decorrelation_needs_two_networks_and_enough_records():
    with pytest.raises(ValueError, match="features are of 1 networks; at least two"):
        mutual_decorrelation([torch.randn(90, 7)])
    with pytest.raises(ValueError, match="features of 8 records"):
        mutual_decorrelation([torch.randn(8, 7)] * 2)


def test_projections_for_other_models_are_refused() -> None:
    drawn = draw_projections(
        steps=1,
        models=2,
        features=64,
        projected_dimension=50,
        generator=torch.Generator().manual_seed(0),
    )
    features = random_features(80)
    with pytest.raises(ValueError, match="1 earlier models and projections for 2"):
        projected_decorrelation(features, [features], drawn, step=0)

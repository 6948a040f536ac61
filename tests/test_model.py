"""The network against one written out in one dimension, and its checkpoints."""

import copy
import io
import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional

from dnalib.filters import FourierFilter, ring_filters
from dnalib.model import Dropout, Network, TimeConvolution, load_published

# channels out, kernel, dilation, padding, pooled after it: Goodfellow et al. 2018, Han et al. 2020
LAYERS = [
    (320, 24, 1, 11, True),
    (256, 16, 2, 15, False),
    (256, 16, 4, 30, False),
    (256, 16, 4, 30, False),
    (256, 16, 4, 30, False),
    (128, 8, 4, 14, True),
    (128, 8, 6, 21, False),
    (128, 8, 6, 21, False),
    (128, 8, 6, 21, False),
    (128, 8, 6, 21, False),
    (128, 8, 8, 28, True),
    (64, 8, 8, 28, False),
    (64, 8, 8, 28, False),
]


class PlainNetwork(nn.Module):
    """The paper's network, spelt out with one-dimensional layers."""

    def __init__(self):
        super().__init__()
        channels_in = 1
        for number, (channels, kernel, dilation, padding, _) in enumerate(LAYERS, start=1):
            layer = nn.Conv1d(channels_in, channels, kernel, padding=padding, dilation=dilation)
            self.add_module(f"conv{number}", layer)
            self.add_module(f"bn{number}", nn.BatchNorm1d(channels))
            channels_in = channels
        self.fc = nn.Linear(64, 4)
        self.pool = nn.MaxPool1d(2, stride=2, padding=1, dilation=2)

    def forward(self, signals):
        for number, layer in enumerate(LAYERS, start=1):
            signals = self.get_submodule(f"conv{number}")(signals)
            signals = torch.relu(self.get_submodule(f"bn{number}")(signals))
            signals = self.pool(signals) if layer[-1] else signals
        features = signals.mean(-1)
        return self.fc(features), features


def records(count=2, time=600, seed=0):
    return torch.randn(count, 1, time, generator=torch.Generator().manual_seed(seed)) * 200


def with_lively_statistics(network):
    """Batch-norm statistics and weights that are not those of a fresh network."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point() and "bn" in name:
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
        network.conv1.weight.div_(200)
    return network


@pytest.fixture(scope="module")
def full_network():
    torch.manual_seed(0)
    return with_lively_statistics(Network()).eval()


def test_it_is_the_network_of_the_paper(full_network):
    plain = PlainNetwork()
    assert full_network.state_dict().keys() == plain.state_dict().keys()
    plain.load_state_dict(full_network.state_dict())
    signals = records()
    with torch.no_grad():
        logits, features = full_network(signals, with_features=True)
        expected_logits, expected_features = plain.eval()(signals)
    assert logits.shape == (2, 4) and features.shape == (2, 64)
    assert torch.allclose(features, expected_features, rtol=1e-4, atol=1e-5)
    assert torch.allclose(logits, expected_logits, rtol=1e-4, atol=1e-5)
    assert expected_features.std() > 0.01  # the comparison is not one of zeros


def test_dropout_follows_every_block(full_network):
    dropped = []
    hook = full_network.dropout.register_forward_hook(
        lambda module, inputs, maps: dropped.append(maps.shape[1:])
    )
    with torch.no_grad():
        full_network(records(1, 200))
        hook.remove()
        blocks = [full_network.maps_after(records(1, 200), block=1 + block) for block in range(13)]
    assert dropped == [maps.shape[1:] for maps in blocks]
    assert [shape[0] for shape in dropped] == [channels for channels, *_ in LAYERS]


def test_it_has_the_parameters_of_the_paper():
    assert sum(parameter.numel() for parameter in Network().parameters()) == 5_486_916


@pytest.mark.parametrize("classes", [2, 5])
def test_the_last_layer_alone_depends_on_the_number_of_classes(classes):
    networks = []
    for options in ({}, {"classes": classes}):
        torch.manual_seed(0)
        networks.append(Network(width=0.02, **options).eval())
    usual, other = (network.state_dict() for network in networks)
    assert all(torch.equal(usual[name], other[name]) for name in usual if "fc." not in name)
    assert usual["fc.weight"].shape == (4, 64) and other["fc.weight"].shape == (classes, 64)
    with torch.no_grad():
        assert networks[1](records()).shape == (2, classes)


@pytest.mark.parametrize("classes", [1, 0, 2.0, True])
def test_fewer_than_two_classes_are_refused(classes):
    with pytest.raises(ValueError, match="^classes is .*; accepted are whole numbers from 2$"):
        Network(classes=classes)


def test_the_time_axis_is_halved_three_times():
    network = Network(width=1 / 64).eval()
    lengths = {}
    for number in range(1, 14):
        network.get_submodule(f"conv{number}").register_forward_hook(
            lambda _, arguments, out, number=number: lengths.update({number: arguments[0].shape[3]})
        )
    with torch.no_grad():
        network(torch.zeros(1, 1, 18_000))
    expected = {1: 18_000} | dict.fromkeys(range(2, 7), 9000) | dict.fromkeys(range(7, 12), 4500)
    assert lengths == expected | {12: 2250, 13: 2250}


@pytest.mark.parametrize("width", [1, 1 / 8, 1 / 16, 0.02, 1e-6])
def test_width_scales_blocks_1_to_11_alone(width):
    network = Network(width=width).eval()
    channels = [network.get_submodule(f"conv{n}").out_channels for n in range(1, 14)]
    assert channels[:11] == [max(1, round(layer[0] * width)) for layer in LAYERS[:11]]
    assert channels[11:] == [64, 64]
    with torch.no_grad():
        assert network.features(torch.zeros(1, 1, 300)).shape == (1, 64)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_published_checkpoint_is_loaded(full_network, tmp_path, prefix):
    path = tmp_path / "best_model.pth"
    state = full_network.state_dict()
    torch.save({prefix + name: tensor for name, tensor in state.items()}, path)
    loaded = load_published(path)
    assert not loaded.training
    assert all(torch.equal(loaded.state_dict()[name], tensor) for name, tensor in state.items())
    behind = load_published(str(path), fourier_filter=FourierFilter(torch.ones(151), length=300))
    assert behind.fourier_filter is not None and not behind.training


class Trap:
    """An object whose unpickling makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_checkpoint_with_code_is_refused_and_not_run(tmp_path):
    path, proof = tmp_path / "trap.pth", tmp_path / "proof"
    torch.save({"conv1.weight": Trap(proof)}, path)
    proof.unlink(missing_ok=True)
    with pytest.raises(ValueError, match="trap.pth is not a checkpoint of tensors"):
        load_published(path)
    assert not proof.exists()


def test_files_that_hold_something_else_are_refused(tmp_path):
    path = tmp_path / "other.pth"
    path.write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match="other.pth is not a checkpoint"):
        load_published(path)
    for content in ([torch.zeros(3)], {"epoch": 3}):
        torch.save(content, path)
        with pytest.raises(ValueError, match="other.pth holds .* a dict of tensors"):
            load_published(path)
    with pytest.raises(FileNotFoundError):
        load_published(tmp_path / "nowhere.pth")


def test_checkpoints_of_another_network_are_refused(full_network, tmp_path):
    path = tmp_path / "narrow.pth"
    torch.save(Network(width=0.02).state_dict(), path)
    with pytest.raises(
        ValueError,
        match=r"narrow.pth does not fit .* conv1.weight has shape \(6, 1, 24\); accepted is "
        r"\(320, 1, 24\), that of width 1, 4 classes and one lead \(for others, .* "
        r"load_state_dict\)$",
    ):
        load_published(path)
    incomplete = {k: v for k, v in full_network.state_dict().items() if k != "bn7.running_var"}
    torch.save(incomplete, path)
    with pytest.raises(ValueError, match="it lacks bn7.running_var; accepted are all"):
        load_published(path)
    uncounted = {k: v for k, v in incomplete.items() if "num_batches" not in k}
    torch.save(uncounted, path)
    with pytest.raises(ValueError, match="it lacks bn7.running_var; accepted are all"):
        load_published(path)
    torch.save({**full_network.state_dict(), "bn14.bias": torch.zeros(64)}, path)
    with pytest.raises(ValueError, match="it also holds bn14.bias; accepted are the network's"):
        load_published(path)
    torch.save(full_network.state_dict() | {"fc.bias": torch.zeros(3)}, path)
    with pytest.raises(ValueError, match=r"fc.bias has shape \(3,\); accepted is \(4,\)"):
        load_published(path)


def test_a_time_convolution_is_a_one_dimensional_one():
    torch.manual_seed(0)
    layer = TimeConvolution(3, 5, 8, padding=14, dilation=4)
    one = records(4, 90).view(2, 2, 90)[:, :1].repeat(1, 3, 1) * torch.tensor([[[1.0], [2], [3]]])
    results = []
    for forward in (lambda x: layer(x.unsqueeze(2)).squeeze(2), super(type(layer), layer).forward):
        signals = one.clone().requires_grad_()
        out = forward(signals)
        gradients = torch.autograd.grad(out.square().sum(), [signals, *layer.parameters()])
        results.append((out, *gradients))
    for found, expected in zip(*results, strict=True):
        assert found.shape == expected.shape
        assert torch.allclose(found, expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())


@pytest.mark.parametrize("probability", [0.1, 0.3, 0.75])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_dropout(probability, layout):
    torch.manual_seed(0)
    features = torch.ones(8, 16, 1, 999).contiguous(memory_format=layout)
    dropped = Dropout(probability)(features)
    assert dropped.is_contiguous(memory_format=layout)
    zeros = dropped == 0
    # 127,872 elements: the standard error of a share is at most 0.0014.
    assert zeros.double().mean().item() == pytest.approx(probability, abs=0.007)
    assert dropped.mean().item() == pytest.approx(1, abs=0.02)
    assert torch.allclose(dropped[~zeros], torch.tensor(1 / (1 - probability)))
    # Neighbours, which come from one random number, fall independently of each other.
    flat = zeros.permute(0, 2, 3, 1).flatten() if layout == torch.channels_last else zeros.flatten()
    for distance in (1, 2, 3, 4):
        both = (flat[distance:] & flat[:-distance]).double().mean().item()
        assert both == pytest.approx(probability**2, abs=0.007)


def test_dropout_in_evaluation_mode_or_at_zero_changes_nothing():
    features = records()
    assert torch.equal(Dropout(0.5).eval()(features), features)
    assert torch.equal(Dropout(0.0)(features), features)


def test_dropout_follows_the_seed_and_drops_the_gradient_with_the_element():
    features = torch.ones(3, 5, requires_grad=True)
    masks = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        dropped = Dropout(0.5)(features)
        (gradient,) = torch.autograd.grad(dropped.sum(), features)
        assert torch.equal(gradient, dropped)
        masks.append(gradient)
    assert torch.equal(masks[0], masks[1]) and not torch.equal(masks[0], masks[2])


def test_the_network_drops_while_it_is_trained_alone():
    torch.manual_seed(0)
    network = Network(width=0.05, dropout=0.5)
    signals = records()
    assert not torch.equal(network(signals), network(signals))
    network.eval()
    assert torch.equal(network(signals), network(signals))


def test_a_filtered_network_is_the_plain_one_on_filtered_signals():
    torch.manual_seed(0)
    one = FourierFilter(ring_filters(length=600)[1], length=600)
    plain, behind = Network(width=0.05).eval(), Network(width=0.05, fourier_filter=one).eval()
    behind.load_state_dict(plain.state_dict())  # the filter adds no name
    signals = records().requires_grad_()
    logits = behind(signals)
    assert torch.allclose(logits, plain(one(signals)), atol=1e-5)
    loss = functional.cross_entropy(logits, torch.tensor([0, 1]))
    (gradient,) = torch.autograd.grad(loss, signals)
    # What the filter removes cannot change the answer, so the gradient holds none of it.
    assert gradient.abs().max() > 0
    assert torch.allclose(one(gradient), gradient, atol=1e-4 * gradient.abs().max().item())


def test_features_and_logits_come_from_one_pass():
    torch.manual_seed(0)
    network = Network(width=0.05)
    logits, features = network(records(), with_features=True)
    assert torch.allclose(network.fc(features), logits)


@pytest.mark.parametrize("shape", [(2, 600), (2, 2, 600), (2, 1, 1, 600)])
def test_signals_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"accepted is \(batch, 1, time\)"):
        Network(width=0.02)(torch.zeros(shape))


def test_widths_and_dropouts_out_of_range_are_refused():
    for width in (0, -1, 4.01, "1"):
        with pytest.raises(ValueError, match="width is"):
            Network(width=width)
    for dropout in (-0.1, 1, None):
        with pytest.raises(ValueError, match="dropout is"):
            Network(dropout=dropout)


@pytest.mark.parametrize("wrong", [10, "h1", torch.ones(151), ring_filters(length=300)[0].numpy()])
def test_a_filter_that_is_none_is_refused(wrong) -> None:
    with pytest.raises(ValueError, match="fourier_filter is .*; accepted is a dnalib.filters.Four"):
        Network(width=0.02, fourier_filter=wrong)


def saved(module):
    """As `torch.save` and `torch.load` of a whole module give it back."""
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


def pickled(module):
    return pickle.loads(pickle.dumps(module))


@pytest.mark.parametrize("again", [saved, pickled, copy.deepcopy, copy.copy])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_a_network_is_pickled_and_copied_whole(again, layout) -> None:
    behind = FourierFilter(ring_filters(length=600)[1], length=600)
    network = Network(width=0.05, dropout=0.1, fourier_filter=behind).eval()
    network.bn3.train()  # frozen otherwise, or the other way round
    network.memory_format = layout
    network.fc.weight.requires_grad_(False)
    other = again(network)
    assert other is not network and other.memory_format is network.memory_format is layout
    assert other.width == 0.05 and other.dropout.probability == 0.1
    assert not other.fc.weight.requires_grad and other.fc.bias.requires_grad
    assert torch.equal(other.fourier_filter.mask, behind.mask)
    modes = [part.training for part in network.modules()]
    assert [part.training for part in other.modules()] == modes
    assert list(other.state_dict()) == list(network.state_dict())
    with torch.no_grad():
        assert torch.equal(other.eval()(records()), network.eval()(records()))


def test_a_copy_is_trained_apart_from_the_network() -> None:
    network = Network(width=0.02)
    other = pickled(network)
    with torch.no_grad():
        other.fc.bias.add_(1)
    assert not torch.equal(other.fc.bias, network.fc.bias)


def test_a_single_sample_is_no_record() -> None:
    network = Network(width=0.03).eval()
    assert network(torch.zeros(1, 1, 2)).shape == (1, 4)
    with pytest.raises(ValueError, match=r"\(1, 1, 1\); accepted is .* of 2 samples at least"):
        network(torch.zeros(1, 1, 1))


def test_a_network_takes_the_leads_that_it_was_made_for():
    with pytest.raises(ValueError, match="leads is 0; accepted are whole numbers from 1"):
        Network(width=0.02, leads=0)
    network = Network(width=0.02, leads=3).eval()
    assert network(torch.zeros(1, 3, 300)).shape == (1, 4)
    with pytest.raises(ValueError, match=r"accepted is \(batch, 3, time\)"):
        network(torch.zeros(1, 1, 300))

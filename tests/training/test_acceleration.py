"""What makes a step fast changes no result."""

import dataclasses
import shutil
import time
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from trainings import RECIPE, assert_same, make_data, network, quiet

from dnalib import model
from dnalib.filters import FourierFilter, ring_filters
from dnalib.training import acceleration, epoch, loop, progress, state, train
from dnalib.training.acceleration import (
    CompiledNetwork,
    accelerate,
    can_compile,
    lay_out_channels_last,
    lay_out_contiguous,
    pass_through,
)

CPU = torch.device("cpu")
needs_compiler = pytest.mark.skipif(
    shutil.which("g++") is None, reason="no C++ compiler, so nothing compiles"
)
# One of PyTorch's own.
ignores_warning = pytest.mark.filterwarnings("ignore:.*script_method:DeprecationWarning")


def test_kernels_change_their_layout_and_nothing_else():
    made = network().eval()
    before = {name: value.clone() for name, value in made.state_dict().items()}
    signals = torch.randn(3, 1, 300)
    logits = made(signals)
    lay_out_channels_last(made)
    kernel = made.conv2.weight
    assert kernel.unsqueeze(2).is_contiguous(memory_format=torch.channels_last)
    assert not kernel.is_contiguous()
    assert torch.allclose(made(signals), logits, atol=1e-5)
    after = made.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    lay_out_contiguous(made)
    assert all(value.is_contiguous() for value in made.state_dict().values())
    assert torch.equal(made(signals), logits)


def is_compiled(found, made):
    return isinstance(found, CompiledNetwork) and found.network is made


def test_a_cpu_gets_the_network_as_it_is():
    made = network()
    assert accelerate(made, device=CPU, compiled=None) is made
    assert accelerate(made, device=CPU, compiled=False) is made
    assert made.conv2.weight.is_contiguous()
    assert is_compiled(accelerate(made, device=CPU, compiled=True), made)


def test_a_gpu_gets_its_layout_and_its_program(monkeypatch):
    monkeypatch.setattr(acceleration, "can_compile", lambda device: True)
    made = network()
    gpu = torch.device("cuda")
    assert is_compiled(accelerate(made, device=gpu, compiled=None), made)
    assert not made.conv2.weight.is_contiguous()
    assert accelerate(made, device=gpu, compiled=False) is made
    monkeypatch.setattr(acceleration, "can_compile", lambda device: False)
    assert accelerate(made, device=gpu, compiled=None) is made
    assert is_compiled(accelerate(made, device=gpu, compiled=True), made)


def test_weights_and_modes_of_a_compiled_network_are_the_networks():
    made = network()
    found = accelerate(made, device=CPU, compiled=True)
    assert list(found.parameters()) == list(made.parameters())
    assert len(list(found.named_parameters(remove_duplicate=False))) == len(list(made.parameters()))
    assert made.training and not found.eval().network.training


@pytest.mark.parametrize(("asked", "expected"), [(None, False), (True, True), (False, False)])
def test_several_processes_compile_only_if_asked(monkeypatch, asked, expected):
    def spy(network, *, device, compiled):
        assert compiled is expected
        return network

    monkeypatch.setattr(epoch, "accelerate", spy)
    fabric = SimpleNamespace(world_size=2, device=CPU, setup=lambda *parts: parts)
    epoch.set_up(fabric, network(), recipe=RECIPE, batches=2, compiled=asked)


def test_whether_pytorch_can_compile_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    def compile_nothing(function: Callable, *, dynamic: bool) -> Callable:
        def call(values: torch.Tensor) -> torch.Tensor:
            raise OSError("fatal error: Python.h: No such file or directory\n#include <Python.h>")

        return call

    monkeypatch.setattr(torch, "compile", compile_nothing)
    with pytest.warns(UserWarning, match=r"not compiled and takes longer: .*Python\.h: No such"):
        assert not can_compile(CPU)


@pytest.mark.slow
@pytest.mark.parametrize("filtered", [False, True])
def test_a_gpu_gets_one_program_for_the_whole_network(filtered):
    # Away from the CPU, which the meta device is; a break in the program would be an error here.
    masks = ring_filters(bands=10, length=300)
    behind = FourierFilter(masks[0], length=300) if filtered else None
    made = model.Network(width=0.02, dropout=0.1, fourier_filter=behind).to("meta").train()
    program = torch.compile(made, dynamic=False, fullgraph=True, backend="eager")
    logits, features = program(torch.zeros(5, 1, 300, device="meta"), with_features=True)
    assert logits.shape == (5, 4) and features.shape == (5, 64)


def test_a_training_in_the_layout_of_a_gpu_goes_on(tmp_path, monkeypatch):
    def lay_out(network, **options):
        lay_out_channels_last(network)
        return network

    monkeypatch.setattr(epoch, "accelerate", lay_out)
    data = make_data(earlier_models=1)
    undisturbed = train(network, data, recipe=RECIPE, report=quiet)
    for minutes in (0, None):
        resumed = train(
            network, data, recipe=RECIPE, checkpoint=tmp_path, max_minutes=minutes, report=quiet
        )
    assert_same(undisturbed, resumed)
    assert all(value.is_contiguous() for value in resumed[0].state_dict().values())


@pytest.fixture
def two_layers(monkeypatch):
    """A network that compiles soon; evaluation knows the thirteen layers, so it gives constants."""
    monkeypatch.setattr(model, "BLOCKS", (model.BLOCKS[0], model.BLOCKS[-1]))
    monkeypatch.setattr(epoch, "infer", lambda network, signals, **options: torch.ones(40, 4))


class Backend:
    """Compiles to what PyTorch runs anyway; knows the batch size of each program."""

    def __init__(self, monkeypatch):
        torch.compiler.reset()
        self.rows = []
        monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=self))

    def __call__(self, program, inputs):
        (rows,) = {len(one) for one in inputs if one.ndim == 3 and one.shape[1:] == (1, 300)}
        self.rows.append(rows)
        return program.forward


def without_dropout(filtered=False):
    """A network that answers alike compiled or not: compiled dropout draws other masks."""
    masks = ring_filters(bands=10, length=300)
    behind = FourierFilter(masks[0], length=300) if filtered else None
    return model.Network(width=0.02, dropout=0.0, fourier_filter=behind)


@pytest.mark.slow
def test_full_batches_alone_are_compiled_once_for_each_kind_of_network(monkeypatch):
    changes = {"epochs": 2, "batch_size": 40, "projected_dimension": 20}
    recipe = dataclasses.replace(RECIPE, **changes)
    data = make_data(earlier_models=1, count=119)  # batches of 40, 40 and 39
    backend = Backend(monkeypatch)
    counts = []
    for filtered in (False, False, True, True, False):
        made = partial(without_dropout, filtered)
        compiled, plain = (
            train(made, data, recipe=recipe, compiled=compiled, report=quiet)
            for compiled in (True, False)
        )
        counts.append(len(backend.rows))
        assert compiled[1].train_loss.tolist() == pytest.approx(plain[1].train_loss, rel=1e-4)
        weights = plain[0].state_dict()
        for name, value in compiled[0].state_dict().items():
            assert torch.allclose(value.float(), weights[name].float(), atol=1e-3), name
    assert backend.rows == [40, 40] and counts == [1, 1, 2, 2, 2]


def failing_at(number):
    """A backend that fails at a program of several; those before it run."""
    made = []

    def compile_some(program, inputs):
        made.append(program)
        if len(made) == number:
            raise RuntimeError("no such kernel\nand much more")
        return program.forward

    return compile_some


def failing_backwards():
    """A backend that fails at the backward pass."""
    from torch._dynamo.backends.common import aot_autograd  # takes a second to import

    def refuse(program, inputs):
        raise RuntimeError("no such kernel\nand much more")

    return aot_autograd(fw_compiler=lambda program, inputs: program.forward, bw_compiler=refuse)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*script_method:DeprecationWarning")
@pytest.mark.parametrize(
    "backend", [lambda: failing_at(1), lambda: failing_at(3), failing_backwards]
)
def test_a_training_whose_first_compiled_step_fails_is_an_uncompiled_one(
    two_layers, monkeypatch, backend
):
    # What is not compiled breaks the program into pieces, of which some have run when one fails.
    whole = torch.compiler.disable(model.Dropout.forward)
    monkeypatch.setattr(model.Dropout, "forward", whole)
    data = make_data(earlier_models=1)
    recipe = dataclasses.replace(RECIPE, epochs=2)
    expected = train(network, data, recipe=recipe, compiled=False, report=quiet)
    torch.compiler.reset()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend()))
    with pytest.warns(UserWarning, match="goes on uncompiled .* step failed: no such ker") as said:
        found = train(network, data, recipe=recipe, compiled=True, report=quiet)
    assert_same(expected, found)
    (sentence,) = [str(one.message) for one in said if "uncompiled" in str(one.message)]
    assert sentence.endswith("no such kernel")


@pytest.mark.parametrize(
    ("seconds", "compiling", "batches", "expected"),
    [(90.0, 0.0, 10, 90.0), (90.0, 81.0, 10, 10.0), (90.0, 89.0, 1, 90.0)],
)
def test_the_pace_is_that_of_steps_that_do_not_compile(seconds, compiling, batches, expected):
    found = progress.pace_after(seconds=seconds, compiling=compiling, batches=batches)
    assert found == pytest.approx(expected)


@pytest.mark.slow
@pytest.mark.parametrize("interrupted", [False, True])
def test_a_call_does_not_end_early_for_what_compiling_took(
    two_layers, tmp_path, monkeypatch, interrupted
):
    clock = SimpleNamespace(late=0.0)
    clock.monotonic = lambda: time.monotonic() + clock.late

    class Slow(Backend):
        def __call__(self, program, inputs):
            clock.late += 0 if self.rows else 1000  # the first of several programs takes as long
            self.rows.append(None)
            return program.forward

    def interrupt(*given, **options):
        raise KeyboardInterrupt

    Slow(monkeypatch)
    for module in (loop, epoch, progress, state):
        monkeypatch.setattr(module, "time", clock)
    options = {"recipe": RECIPE, "checkpoint": tmp_path, "compiled": True, "report": quiet}
    if interrupted:  # between the epoch's first step and its end, by another call
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(epoch, "summarise", interrupt)
            train(network, make_data(), checkpoint_minutes=0, **options)
    # Too short for another 1000 s, whether this call compiled or the one before.
    minutes = (900 if interrupted else 1500) / 60
    _, history = train(network, make_data(), max_minutes=minutes, **options)
    assert len(history) == RECIPE.epochs and history.seconds[0] > 1000


@pytest.mark.slow
@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("too much"), MemoryError(), KeyboardInterrupt()]
)
def test_no_memory_and_an_interruption_end_a_training_that_compiles(two_layers, monkeypatch, error):
    def refuse(program, inputs):
        raise error

    torch.compiler.reset()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=refuse))
    with pytest.raises((RuntimeError, KeyboardInterrupt)) as found:
        train(network, make_data(), recipe=RECIPE, compiled=True, report=quiet)
    assert error in (found.value, getattr(found.value, "inner_exception", None))


def test_only_the_first_compiled_step_may_fail_and_only_that_of_one_process():
    def attempt(error=None):
        tried.append(error)
        if error and len(tried) == 1:
            raise error
        return "done"

    for error, may_fail in ((ValueError("ours"), True), (RuntimeError("theirs"), False)):
        tried = []
        compiled = SimpleNamespace(module=CompiledNetwork(network()))
        with pytest.raises(type(error), match="s$"):
            pass_through(compiled, partial(attempt, error), may_fail=may_fail)
        assert compiled.module.awaits_proof and len(tried) == 1
    tried = [None]
    assert pass_through(compiled, attempt, may_fail=True) == "done"
    assert not compiled.module.awaits_proof
    tried = []
    with pytest.raises(RuntimeError, match="theirs"):
        pass_through(compiled, partial(attempt, RuntimeError("theirs")), may_fail=True)
    assert compiled.module.program is not None


@pytest.mark.slow
@needs_compiler
@ignores_warning
def test_what_compiles_is_found_to() -> None:
    assert can_compile(CPU)


@pytest.mark.slow
@needs_compiler
@ignores_warning
def test_a_compiled_training_learns_the_same(two_layers):
    recipe = dataclasses.replace(RECIPE, epochs=1, schedule="constant", learning_rate=1e-4)
    (plain, history), (trained, compiled_history) = (
        train(network, make_data(earlier_models=1), recipe=recipe, compiled=compiled, report=quiet)
        for compiled in (False, True)
    )
    assert trained.state_dict().keys() == plain.state_dict().keys()
    assert type(trained) is type(plain)
    assert compiled_history.train_loss[0] == pytest.approx(history.train_loss[0], rel=0.01)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*script_method:DeprecationWarning")
def test_a_compiled_training_goes_on(two_layers, tmp_path, monkeypatch):
    # Traced like for a compiler, but run by PyTorch's own kernels.
    traced = partial(torch.compile, backend="aot_eager")
    monkeypatch.setattr(torch, "compile", traced)
    recipe = dataclasses.replace(RECIPE, epochs=2)
    options = {"recipe": recipe, "compiled": True, "report": quiet}
    undisturbed = train(network, make_data(earlier_models=1), **options)
    for minutes in (0, None):
        resumed = train(
            network,
            make_data(earlier_models=1),
            checkpoint=tmp_path,
            max_minutes=minutes,
            **options,
        )
    assert_same(undisturbed, resumed)

"""What is accepted as a classifier: the sentences for what is not, and silence for the rest."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn

from dnalib.classifiers import are_several, check_network, classifier_logits, logits_of
from dnalib.ensemble import Ensemble
from dnalib.model import Network

SIGNALS = torch.zeros(5, 3, 40)


def convolutional(*, leads: int = 3, classes: int = 4) -> nn.Module:
    """A classifier of so many leads, float32."""
    pooled = (nn.AdaptiveAvgPool1d(1), nn.Flatten())
    return nn.Sequential(nn.Conv1d(leads, 2, 5), *pooled, nn.Linear(2, classes)).eval()


class Answering(nn.Module):
    """Gives what a function of the signals gives."""

    def __init__(self, answer: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.answer = answer
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, signals: Tensor) -> object:
        return self.answer(signals)


def test_what_answers_with_logits_is_taken_as_it_is() -> None:
    model = convolutional()
    assert torch.equal(classifier_logits(model, SIGNALS), model(SIGNALS))
    ensemble = Ensemble([model, model])
    assert torch.equal(logits_of(ensemble, SIGNALS), ensemble(SIGNALS))


def test_a_model_may_convert_what_it_is_given() -> None:
    model = Answering(lambda signals: convolutional()(signals.float()))
    assert classifier_logits(model, SIGNALS.double()).dtype == torch.float32


@pytest.mark.parametrize(
    ("given", "kept"), [(torch.float64, torch.float32), (torch.float32, torch.float64)]
)
def test_signals_of_another_type_than_the_parameters_are_named(
    given: torch.dtype, kept: torch.dtype
) -> None:
    with pytest.raises(
        ValueError, match=f"signals have type {given} and the parameters of it {kept}; .* as sig"
    ):
        logits_of(convolutional().to(kept), SIGNALS.to(given), name="it")


def test_other_leads_are_named() -> None:
    with pytest.raises(
        ValueError,
        match=r"shape \(5, 3, 40\); accepted by .* convolution of it is \(batch, 12, time",
    ):
        logits_of(convolutional(leads=12), SIGNALS, name="it")


def test_a_model_that_fails_on_its_own_account_says_so_itself() -> None:
    def fail(signals: Tensor) -> Tensor:
        raise RuntimeError("out of memory")

    several = nn.Sequential(Answering(fail), convolutional(leads=12))
    with pytest.raises(RuntimeError, match="out of memory"):
        logits_of(several, SIGNALS.double())


@pytest.mark.parametrize("kind", [tuple, list, dict.fromkeys])
def test_an_answer_that_is_no_tensor_is_refused(kind: Callable[[Sequence[Tensor]], object]) -> None:
    name = type(kind([])).__name__
    with pytest.raises(ValueError, match=f"the model gives a {name}; accepted is a tensor of log"):
        logits_of(Answering(lambda signals: kind([signals])), SIGNALS)


@pytest.mark.parametrize("shape", [(5,), (5, 1), (4, 3), (1, 4), ()])
def test_logits_that_are_not_a_row_of_classes_a_record_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(
        ValueError, match=r"it gives logits of shape .* for 5 records; .* two classes at least$"
    ):
        classifier_logits(Answering(lambda signals: torch.zeros(shape)), SIGNALS, name="it")


def test_an_ensembles_logits_are_refused_with_a_word_on_what_makes_them_one() -> None:
    ensemble = Ensemble([convolutional()] * 2)
    with pytest.raises(ValueError, match=r"shape \(2, 5, 4\) .* by attacks.log_mean_softmax, in a"):
        classifier_logits(ensemble, SIGNALS)


def test_several_are_a_sequence_and_one_is_not() -> None:
    one = nn.Linear(2, 2)
    for several in ([one], (one, one), nn.ModuleList([one]), []):
        assert are_several(several)
    for single in (one, nn.Sequential(one), nn.ModuleDict({"one": one}), "one", None, {one}):
        assert not are_several(single)


def test_a_network_is_this_librarys() -> None:
    network = Network(width=0.01)
    assert check_network("network", network) is network
    with pytest.raises(
        ValueError, match="it has parameters of type torch.float64; accepted is tor"
    ):
        check_network("it", Network(width=0.01).double())
    for other in (nn.Linear(2, 2), [network], None):
        found = type(other).__name__
        with pytest.raises(ValueError, match=f"^it is of type {found}; .*model.Network, or so$"):
            check_network("it", other, also=", or so")

"""What is accepted as a classifier, as its answer, and as several: what all that call one share."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dnalib.model import Network


def logits_of(model: nn.Module, signals: Tensor, *, name: str = "the model") -> Tensor:
    """What a classifier or ensemble answers.

    Args:
        model: of any kind.
        signals: (batch, lead, time), floating point.
        name: of the model, for the messages.

    Raises:
        ValueError: the answer is no tensor, or the model failed and its parameters are of another
            type than the signals, or its first convolution takes another number of leads.
    """
    try:
        logits = model(signals)
    except RuntimeError as error:
        # Asked for here alone: a model may well convert what it is given.
        misfit = misfit_of(model, signals, name=name, error=error)
        if misfit is None:
            raise
        raise ValueError(misfit) from error
    if not isinstance(logits, Tensor):
        raise ValueError(
            f"{name} gives a {type(logits).__name__}; accepted is a tensor of logits, which a "
            "module around it may take out"
        )
    return logits


def classifier_logits(model: nn.Module, signals: Tensor, *, name: str = "the model") -> Tensor:
    """What a single classifier answers: logits (batch, class).

    Arguments as in `logits_of`.

    Raises:
        ValueError: as there, logits of another shape, such as an ensemble's, or of a single class,
            of which every answer is right.
    """
    logits = logits_of(model, signals, name=name)
    if logits.ndim != 2 or len(logits) != len(signals) or logits.shape[1] < 2:
        ensemble = (
            ". An ensemble's, (member, batch, class), become that by attacks.log_mean_softmax, in "
            "a module around the ensemble"
        )
        raise ValueError(
            f"{name} gives logits of shape {tuple(logits.shape)} for {len(signals)} records; "
            f"accepted is (batch, class), two classes at least{ensemble * (logits.ndim == 3)}"
        )
    return logits


def misfit_of(model: nn.Module, signals: Tensor, *, name: str, error: Exception) -> str | None:
    """A sentence on why a model failed with signals, if it is for their type or their leads."""
    kept = type_of_parameters(model)
    if "type" in str(error) and kept not in (None, signals.dtype):
        return (
            f"signals have type {signals.dtype} and the parameters of {name} {kept}; accepted is "
            f"one type for both, as signals.to({kept}) makes it"
        )
    layers = (one for one in model.modules() if isinstance(one, nn.Conv1d))
    leads = next((one.in_channels for one in layers), None)
    if "channels" in str(error) and leads not in (None, signals.shape[1]):
        return (
            f"signals have shape {tuple(signals.shape)}; accepted by the first convolution of "
            f"{name} is (batch, {leads}, time)"
        )
    return None


def type_of_parameters(model: nn.Module) -> torch.dtype | None:
    """The type of a model's first floating-point parameter; None without one."""
    return next((one.dtype for one in model.parameters() if one.is_floating_point()), None)


def are_several(models: object) -> bool:
    """Whether something is a sequence of models, and not one.

    Of modules a list alone: others that can be iterated over, such as `nn.Sequential`, are one.
    """
    one = isinstance(models, nn.Module | str) and not isinstance(models, nn.ModuleList)
    return isinstance(models, Sequence | nn.ModuleList) and not one


def check_network(name: str, network: object, *, also: str = "") -> Network:
    """The network, unless it cannot be one that is read layer by layer and fed with float32.

    Args:
        name: of the parameter.
        network: of any type.
        also: what else is accepted, for the message.

    Raises:
        ValueError: it is none of this library's, or its parameters are not float32.
    """
    if not isinstance(network, Network):
        raise ValueError(
            f"{name} is of type {type(network).__name__}; accepted is a dnalib.model.Network{also}"
        )
    kept = type_of_parameters(network)
    if kept != torch.float32:
        raise ValueError(
            f"{name} has parameters of type {kept}; accepted is torch.float32, as float() makes "
            "them"
        )
    return network

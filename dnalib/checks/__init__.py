"""Is the gradient masked? Small checks of an evaluation, each with a paragraph of the book.

An attack that fails shows a robust model or a bad attack. Each check measures something that a bad
attack, or a model that merely hides its gradient, gets wrong, and answers with a `CheckResult`; it
raises for arguments that it cannot take alone. "Success" is the share of the records classified
right as they are that an attack turns. As many records go through the model at once as memory
takes.

An attack is any callable `attack(model, signals, labels, *, epsilon, valid)` that returns a
perturbation (batch, lead, time), such as those of `dnalib.attacks` and `dnalib.independent`. Two
checks also pass it `steps`, or `steps` and `step_size`, which each says.
"""

from dnalib.checks.common import Attack, CheckResult
from dnalib.checks.gradients import float64_agrees, zero_gradients
from dnalib.checks.planted import planted_example_is_found
from dnalib.checks.successes import (
    doubling_steps_gains_little,
    gradient_free_stays_below,
    iterative_beats_one_step,
    large_epsilon_succeeds,
    success_rises_with_epsilon,
    transferred_stays_below,
)

__all__ = [
    "Attack",
    "CheckResult",
    "doubling_steps_gains_little",
    "float64_agrees",
    "gradient_free_stays_below",
    "iterative_beats_one_step",
    "large_epsilon_succeeds",
    "planted_example_is_found",
    "success_rises_with_epsilon",
    "transferred_stays_below",
    "zero_gradients",
]

"""Training: one loop for every member of every ensemble, and what it reads, follows and keeps.

Imports go one way: recipes, acceleration, checkpoints, joint; processes, data, adversarial; state,
objectives; progress; epoch; loop; costs.
"""

from .data import TrainingData
from .loop import Training, train
from .recipes import Recipe

__all__ = ["Recipe", "Training", "TrainingData", "train"]

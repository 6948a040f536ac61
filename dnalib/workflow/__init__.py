"""The book as jobs: which there are, what each needs and takes, and the engines that run them.

Snakemake orders the jobs and, on a cluster, Slurm runs them; `python -m dnalib.workflow` makes the
plan that both follow. Notebooks and library know nothing of either.
"""

from dnalib.workflow.parts import Plan
from dnalib.workflow.plan import make_plan
from dnalib.workflow.variants import WorkflowError, make_variants, parse_seeds

__all__ = ["Plan", "WorkflowError", "make_plan", "make_variants", "parse_seeds"]

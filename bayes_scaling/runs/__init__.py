"""Runs: validated tables of training runs and their scores."""

from bayes_scaling.runs.budgets import BudgetLike, Budgets
from bayes_scaling.runs.table import Runs, SeriesKey

__all__ = ["BudgetLike", "Budgets", "Runs", "SeriesKey"]

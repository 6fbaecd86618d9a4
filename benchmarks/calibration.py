"""Simulation-based calibration of every ready model; docs/validation.md says what it shows.

Run: uv run python benchmarks/calibration.py [--models NAME ...] [--ladder long short]
    [--simulations N] [--workers N] [--out CSV] [--wrong] [--write-docs]
Parameters are drawn from a model's prior, scores (and losses) from its likelihood, the model is
fitted to them, and each true value is ranked among posterior draws. Prints a table, a row for each
model and ladder. Rows are appended to the CSV as simulations finish, and a second run goes on from
there; delete the file after a change of the models. `--wrong` fits wrong models in place of the
true ones. `--write-docs` puts the tables and the figure of what is in the CSV into docs/.
"""

import argparse
import csv
import io
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import cache, cached_property
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import arviz as az
import numpy as np
import pandas as pd
import xarray as xr
from arviz_stats.base import array_stats
from pages import as_markdown, replace_between
from pymc_extras.prior import Prior
from simuk import SBC

from bayes_scaling import Budgets, Runs, load_dataset, load_model
from bayes_scaling.datasets.krajewski2025 import PUBLISHED_CUTOFF
from bayes_scaling.errors import BayesScalingError, RunsWarning
from bayes_scaling.inference.samplers import sample
from bayes_scaling.inference.target import Samples
from bayes_scaling.laws import ScalingLaw
from bayes_scaling.laws.base import LOSS_SCATTER
from bayes_scaling.modelling.bound import BoundModel
from bayes_scaling.modelling.defaults import available_models
from bayes_scaling.modelling.model import ScalingModel
from bayes_scaling.modelling.observations import choose_loss

ROOT = Path(__file__).resolve().parent.parent
LADDERS = {"long": 46, "short": 8}
BEYOND = 10  # the curve is ranked at this many times the largest budget
# Ranks among 99 draws need no posterior of 4000. Two thousand take less time than one thousand: the
# limits of a converged fit (an ESS of 400) then hardly ever have it sampled again.
SETTINGS = {"draws": 1000, "tune": 500, "chains": 2, "cores": 1}
KEPT = 99
# Prior draws and seeds belong to a block of simulations, so that more simulations can be added.
BLOCK = 20
COLUMNS = ("model", "ladder", "wrong", "simulation", "seconds", "problem", "pits")
RARE = 0.01


# ---- ladders -------------------------------------------------------------------------------------


@cache
def _embedded() -> Runs:
    return load_dataset("krajewski2025", mixture="dclm").below(PUBLISHED_CUTOFF)


def _series(model: ScalingModel) -> Runs:
    """Return embedded runs below the cut-off that have all that a model reads."""
    name, metric = ("humaneval-py", "pass@k") if "k" in model.law.columns else ("arc_easy", "acc")
    ratio = None if {"params", "tokens"} <= set(model.law.columns) else 20
    runs = _embedded().select(name, metric, tokens_per_param=ratio)
    if not model.two_stage:
        return runs
    return _as_runs(runs.table.dropna(subset=[choose_loss(runs, model.loss)]))


def _spread(runs: Runs, count: int) -> Runs:
    """Return `count` runs, or all if there are fewer, evenly spread in order of budget."""
    names = runs.table.sort_values("flops")["run"].unique()
    places = np.linspace(0, len(names) - 1, min(count, len(names))).round().astype(int)
    return _as_runs(runs.table[runs.table["run"].isin(names[places])])


def _as_runs(table: pd.DataFrame) -> Runs:
    """Return a table as runs. The prior reaches scores that look odd in one: no warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RunsWarning)
        return Runs.from_frame(table)


def ladder(model: ScalingModel, name: str) -> BoundModel:
    """Return a model bound to a ladder, with more runs if it has more parameters than runs.

    No run of these series is near chance, so that a floor of "auto" is chance. It is chance on the
    long ladder, and free on the short one, so that both kinds of model are simulated.
    """
    runs = _series(model)
    if name == "short" and model.floor == "auto":
        model = model.with_options(floor="free")
    parameters = len(model.on(runs).parameters)
    return model.on(_spread(runs, max(LADDERS[name], parameters)))


# ---- wrong models --------------------------------------------------------------------------------


def _halved_bounds(law: ScalingLaw) -> ScalingLaw:
    """Return a law whose bounded parameters end at half of their upper bound."""

    def halved(upper: Callable[..., Any]) -> Callable[..., Any]:
        return lambda p, xp: upper(p, xp) / 2

    cut = [replace(p, upper=halved(p.upper)) if p.upper else p for p in law.parameters]
    members = {"name": f"{law.name}_halved", "parameters": tuple(cut)}
    made: ScalingLaw = type("Halved", (type(law),), members)()
    return made


def _half_bound(model: ScalingModel) -> ScalingModel:
    return replace(model, law=_halved_bounds(model.law))


def _low_exponent(model: ScalingModel) -> ScalingModel:
    """Return the model with a prior of the exponent whose mean is 0.6 times the true one."""
    numbers = dict(model.priors["exponent"].parameters)
    numbers["mu"] += np.log(0.6)
    return model.with_priors(exponent=Prior("LogNormal", **numbers))


# What is wrong, in words: the model it is shown on, and the model that is fitted.
WRONG: dict[str, tuple[str, Callable[[ScalingModel], ScalingModel]]] = {
    "upper bound of E halved": ("power_law_ceiling", _half_bound),
    "prior mean of the exponent x 0.6": ("power_law", _low_exponent),
}


# ---- simuk's loop round our fits -----------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """One simulation: the PIT of each quantity, what is wrong with the fit, and its time."""

    pits: Mapping[str, float]
    problem: str
    seconds: float


class FitSBC(SBC):
    """Simulation-based calibration by simuk, with a package's own priors, fits and quantities.

    simuk would draw from PyMC's prior predictive, which knows neither potentials nor losses as
    they are drawn here, and would compile every fit anew. Its loop, seeds, results and resuming
    are used as they are. In place of ranks it keeps PITs, which `az.plot_ecdf_pit` takes: ranks
    over the number of draws, which is smaller where a fit has a small effective sample.

    Parameters
    ----------
    bound : BoundModel
        The true model, bound to a ladder whose scores are replaced.
    fitted : ScalingModel
        The model that is fitted; a wrong one should be caught.
    simulations : int
        Number of simulations.
    seed : int
        Seed of all that is random.
    finished : sequence of Result
        Results of the first simulations, from an earlier run.
    on_result : callable, optional
        Is given the number of each simulation and its :class:`Result`.
    """

    def __init__(
        self,
        bound: BoundModel,
        fitted: ScalingModel,
        simulations: int,
        *,
        seed: int = 0,
        finished: Sequence[Result] = (),
        on_result: Callable[[int, Result], None] = lambda number, result: None,
    ) -> None:
        self.bound, self.fitted, self.on_result = bound, fitted, on_result
        self.results = list(finished)
        super().__init__(
            bound.pymc, num_simulations=simulations, seed=seed, keep_fits=False, progress_bar=False
        )
        self.simulations = {n: [one.pits[n] for one in self.results] for n in self.var_names}
        self._simulations_complete = len(self.results)

    def run(self) -> list[Result]:
        """Run what is left and return all results; simuk itself only prints an error."""
        self.run_simulations()
        if len(self.results) < self.num_simulations:
            raise RuntimeError(f"simulation {len(self.results)} failed; simuk printed why")
        return self.results

    def _extract_model_info(self) -> None:
        """Tell simuk what is ranked, and what is simulated."""
        self.var_names = [*_element_names(self.bound), "curve"]
        self.observed_vars = ["score", "loss"] if self.bound.model.two_stage else ["score"]

    def _get_prior_predictive_samples(self) -> tuple[xr.Dataset, xr.Dataset]:
        drawn = self.bound.prior(self.num_simulations, seed=int(self._seeds[0]))
        rng = np.random.default_rng([1, self._seeds[0]])
        simulated = simulate(self.bound, drawn, rng)
        # A law that goes on at random beyond the runs takes other steps than a fit does.
        ranked = quantities(self.bound, drawn, rng)
        return ranked, simulated.isel(chain=0).rename(draw="sample")

    def _get_posterior_samples(self, replicated_data: Mapping[str, Any]) -> "_Outcome":
        start = time.perf_counter()
        seed = int(self._seeds[self._simulations_complete])
        try:
            bound = self.fitted.on(_with_outcomes(self.bound, replicated_data))
            samples = sample(bound, seed=seed, **SETTINGS)
        except BayesScalingError as error:
            return _Outcome(None, f"not fitted: {error}", time.perf_counter() - start)
        values = quantities(bound, samples.posterior, np.random.default_rng([2, seed]))
        problem = "; ".join(samples.diagnostics.problems())
        return _Outcome(_thinned(values, samples), problem, time.perf_counter() - start)

    def _compute_single_rank(self, simulation_idx: int, posterior: "_Outcome", _: Any) -> None:
        truth = self.ref_params.isel(sample=simulation_idx)
        rng = np.random.default_rng([3, self._seeds[simulation_idx]])
        pits = {name: _pit(posterior.values, truth, name, rng) for name in self.var_names}
        for name, pit in pits.items():
            self.simulations[name].append(pit)
        result = Result(pits, posterior.problem, posterior.seconds)
        self.results.append(result)
        self.on_result(simulation_idx, result)


@dataclass(frozen=True)
class _Outcome:
    """Near-independent draws of the quantities of one fit; None if it could not be fitted."""

    values: xr.Dataset | None
    problem: str
    seconds: float


def simulate(bound: BoundModel, drawn: xr.Dataset, rng: np.random.Generator) -> xr.Dataset:
    """Return scores, and losses of a two-stage law, of the runs for each draw of parameters.

    Parameters
    ----------
    bound : BoundModel
        A model bound to a ladder.
    drawn : xarray.Dataset
        Draws of the parameters, dimensions (chain, draw).
    rng : numpy.random.Generator
        Source of the scatter.

    Returns
    -------
    xarray.Dataset
        `score`, and `loss` of a two-stage law, dimensions (chain, draw, row).
    """
    rows, simulated = bound.observations, {}
    if bound.model.two_stage:
        mean = bound.log_loss(drawn, rows, rng)
        scatter = drawn[LOSS_SCATTER.name] * mean.copy(data=rng.standard_normal(mean.shape))
        simulated["loss"] = xr.apply_ufunc(np.exp, mean + scatter)
        rows = rows.assign(simulated)
    curve = bound.curve(drawn, rows, rng)
    simulated["score"] = bound.draw_scores(curve, drawn, rng)
    return xr.Dataset(simulated).transpose("chain", "draw", "row")


def _with_outcomes(bound: BoundModel, outcomes: Mapping[str, Any]) -> Runs:
    """Return a ladder's runs with other scores and losses, as a user would give them."""
    columns = {"score": outcomes["score"]}
    if "loss" in outcomes:
        columns[bound.model.loss] = outcomes["loss"]
    return _as_runs(bound.runs.table.assign(**columns))


def _element_names(bound: BoundModel) -> list[str]:
    """Return the names of scalar parameters, and of first and last elements of vectors."""
    names = []
    for parameter in bound.parameters:
        last = int(np.prod(list(parameter.dims.values()))) - 1
        names += [f"{parameter.name}[{i}]" for i in (0, last)] if last else [parameter.name]
    return names


def quantities(bound: BoundModel, draws: xr.Dataset, rng: np.random.Generator) -> xr.Dataset:
    """Return what is ranked, for each draw of the parameters: elements of them, and the curve.

    Parameters
    ----------
    bound : BoundModel
        The model that the draws belong to.
    draws : xarray.Dataset
        Draws of the parameters, dimensions (chain, draw).
    rng : numpy.random.Generator
        For a law whose curve goes on at random beyond the runs.

    Returns
    -------
    xarray.Dataset
        A variable for each quantity, dimension `sample`; draws of one chain follow each other.
    """
    curve = bound.curve(draws, _beyond(bound.runs), rng).transpose("chain", "draw", ...)
    found = {"curve": curve.to_numpy().ravel()}
    for name in _element_names(bound):
        parameter, _, index = name.rstrip("]").partition("[")
        values = draws[parameter].transpose("chain", "draw", ...).to_numpy()
        found[name] = values.reshape(curve.size, -1)[:, int(index or 0)]
    return xr.Dataset({name: ("sample", values) for name, values in found.items()})


def _beyond(runs: Runs) -> xr.Dataset:
    """Return a budget ten times the largest, at the usual tokens per parameter and smallest k."""
    table = runs.table
    k = table["k"].min() if table["k"].notna().any() else None
    ratio = float(table["tokens_per_param"].median())
    return Budgets.of(flops=BEYOND * table["flops"].max(), tokens_per_param=ratio, k=k).inputs


def _thinned(values: xr.Dataset, samples: Samples) -> xr.Dataset:
    """Return evenly spaced draws, no more than the smallest effective sample size."""
    ess = np.nan_to_num(samples.diagnostics.min_ess_bulk, nan=1.0)
    count = int(np.clip(ess, 1, KEPT))
    places = np.linspace(0, values.sizes["sample"] - 1, count).round().astype(int)
    return values.isel(sample=places)


def _pit(draws: xr.Dataset | None, truth: xr.Dataset, name: str, rng: np.random.Generator) -> float:
    """Return the share of draws below the truth, exactly uniform if both come from one law.

    Curves that have reached 1 tie with each other; simuk counts only draws below, so that ties
    would look like a bias. Their order is drawn at random.
    """
    if draws is None:
        return float("nan")
    values, true = draws[name].to_numpy(), float(truth[name])
    ties = 1 + np.sum(values == true)
    return float((np.sum(values < true) + ties * rng.uniform()) / (1 + values.size))


# ---- all models, in blocks -----------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A model on a ladder, and what is wrong with the fitted model ("" for nothing)."""

    model: str
    ladder: str
    wrong: str = ""

    @cached_property
    def bound(self) -> BoundModel:
        """The true model on its ladder."""
        return ladder(load_model(self.model), self.ladder)

    @property
    def fitted(self) -> ScalingModel:
        """The model that is fitted."""
        true = self.bound.model
        return WRONG[self.wrong][1](true) if self.wrong else true

    @property
    def key(self) -> tuple[str, str, str]:
        """What identifies it in the CSV."""
        return self.model, self.ladder, self.wrong


_case = cache(Case)  # a worker binds a model to its ladder once


def run_block(key: tuple[str, str, str], block: int, out: Path) -> None:
    """Run the simulations of one block that the CSV does not have, and append them to it."""
    case, first = _case(*key), block * BLOCK

    def append(number: int, result: Result) -> None:
        _append(out, [*key, first + number, *_as_cells(result)])

    simulations = FitSBC(
        case.bound, case.fitted, BLOCK, seed=block, finished=_finished(out, key, block),
        on_result=append,
    )  # fmt: skip
    simulations.run()


def _as_cells(result: Result) -> list[str]:
    pits = " ".join(f"{name}={pit:.6f}" for name, pit in result.pits.items())
    return [f"{result.seconds:.3f}", result.problem, pits]


def _append(out: Path, cells: Iterable[Any]) -> None:
    """Append a row in one write, so that rows of two processes do not mix."""
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    with out.open("a", newline="", encoding="utf-8") as file:
        file.write(text.getvalue())


def read_results(out: Path) -> pd.DataFrame:
    """Return the rows of a CSV, ordered by simulation; `pits` is a mapping by quantity."""
    table = pd.read_csv(out, keep_default_na=False, dtype={"wrong": str, "problem": str})
    pits = [dict(one.split("=") for one in cell.split(" ")) for cell in table["pits"]]
    table["pits"] = [{name: float(pit) for name, pit in one.items()} for one in pits]
    return table.sort_values("simulation", ignore_index=True)


def _finished(out: Path, key: tuple[str, str, str], block: int) -> list[Result]:
    rows = _of_case(read_results(out), key)
    rows = rows[rows["simulation"] // BLOCK == block]
    return [Result(r.pits, r.problem, r.seconds) for r in rows.itertuples()]


def _of_case(table: pd.DataFrame, key: tuple[str, str, str]) -> pd.DataFrame:
    return table[(table[["model", "ladder", "wrong"]] == list(key)).all(axis=1)]


def run_all(cases: Sequence[Case], simulations: int, workers: int, out: Path) -> None:
    """Run every case, some blocks at a time, and print the row of each case that is finished."""
    if not out.exists():
        _append(out, COLUMNS)
    blocks = -(-simulations // BLOCK)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        left = {case.key: blocks for case in cases}
        jobs = {
            pool.submit(run_block, case.key, block, out): case.key
            for case in cases
            for block in range(blocks)
        }
        try:
            for job in as_completed(jobs):
                job.result()
                left[jobs[job]] -= 1
                if not left[jobs[job]]:
                    row = summarise(_of_case(read_results(out), jobs[job]))
                    print(row.to_string(index=False), flush=True)
        finally:  # after an error, do not begin the blocks that are left
            pool.shutdown(cancel_futures=True)


# ---- reading the results -------------------------------------------------------------------------


def p_values(pits: Sequence[Mapping[str, float]]) -> pd.Series:
    """Return the p-value of uniformity of each quantity, smallest first.

    ArviZ's test "pot_c" compares every ordered PIT with its beta distribution. For 40 and 200
    uniform PITs it is below 0.01 in 1.2 and 1.3% of cases, and below 0.001 in 0.1%.

    Parameters
    ----------
    pits : sequence of mapping of str to float
        PITs of each simulation by quantity; NaN where a fit could not be made.
    """
    table = pd.DataFrame(list(pits)).dropna()
    found = {name: float(array_stats.uniformity_test(table[name].to_numpy())[0]) for name in table}
    return pd.Series(found, dtype=float).sort_values()


def summarise(results: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each model, ladder and error: p-values, convergence and time.

    Parameters
    ----------
    results : pandas.DataFrame
        From :func:`read_results`.
    """
    rows = []
    for (model, name, wrong), part in results.groupby(["model", "ladder", "wrong"], sort=True):
        p = p_values(part["pits"])
        rows.append(
            {
                "model": model,
                "ladder": name,
                "wrong": wrong,
                "simulations": len(part),
                "quantities": len(p),
                "smallest p": f"{p.iloc[0]:.2g}",
                "of": p.index[0],
                f"p < {RARE}": int((p < RARE).sum()),
                "expected": f"{RARE * len(p):.2f}",
                "converged": f"{(part['problem'] == '').mean():.1%}",
                "not fitted": int(part["problem"].str.startswith("not fitted").sum()),
                "seconds": f"{part['seconds'].mean():.2f}",
            }
        )
    return pd.DataFrame(rows)


# ---- docs ----------------------------------------------------------------------------------------


def write_docs(results: pd.DataFrame) -> None:
    """Write the tables into docs/validation.md and the figure into docs/img/calibration.png."""
    page = ROOT / "docs" / "validation.md"
    text = page.read_text(encoding="utf-8")
    table = summarise(results)
    true, wrong = table[table["wrong"] == ""], table[table["wrong"] != ""]
    if len(true):
        figure = "![PITs of the curve](img/calibration.png)"
        cells = as_markdown(true.drop(columns="wrong"))
        text = replace_between(text, "calibration", f"{cells}\n\n{figure}")
        draw(results[results["wrong"] == ""], page.parent / "img" / "calibration.png")
    if len(wrong):
        text = replace_between(text, "wrong models", as_markdown(wrong))
    page.write_text(text, encoding="utf-8")


def draw(results: pd.DataFrame, path: Path) -> None:
    """Draw the distribution of the curve's PITs, less the uniform one, for each model and ladder.

    Parameters
    ----------
    results : pandas.DataFrame
        From :func:`read_results`, of true models.
    path : pathlib.Path
        The figure's file.
    """
    pits = {
        f"{model}, {name}": [one["curve"] for one in part["pits"] if np.isfinite(one["curve"])]
        for (model, name), part in results.groupby(["model", "ladder"])
    }
    # One length for all, which ArviZ needs; more simulations of some cases are not drawn.
    least = min(map(len, pits.values()))
    data = {name: np.array(values[:least])[None] for name, values in pits.items()}
    # "envelope" does not work with current xarray.
    size = (13, 2.4 * -(-len(data) // 4))
    plot = az.plot_ecdf_pit(
        az.from_dict({"prior_sbc": data}),
        method="pot_c",
        backend="matplotlib",
        figure_kwargs={"figsize": size, "layout": "constrained"},
    )
    plot.savefig(path, dpi=110)


# ---- the program ---------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", nargs="*", default=available_models())
    parser.add_argument("--ladder", nargs="*", default=list(LADDERS), choices=list(LADDERS))
    parser.add_argument("--simulations", type=int, default=200, help=f"a multiple of {BLOCK}")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("calibration.csv"))
    parser.add_argument("--wrong", action="store_true")
    parser.add_argument("--write-docs", action="store_true", help="of the CSV; runs nothing")
    options = parser.parse_args()
    if options.write_docs:
        write_docs(read_results(options.out))
        return
    wanted = {model: wrong for wrong, (model, _) in WRONG.items()} if options.wrong else {}
    models = list(wanted) if options.wrong else options.models
    cases = [Case(m, name, wanted.get(m, "")) for m in models for name in options.ladder]
    run_all(cases, options.simulations, options.workers, options.out)
    print(summarise(read_results(options.out)).to_string(index=False))


if __name__ == "__main__":
    main()

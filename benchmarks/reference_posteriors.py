"""Reference posteriors of twelve real series, very many draws of each by another sampler.

Run: uv run python benchmarks/reference_posteriors.py [--only BENCHMARK ...] [--sampler NAME]
    [--max-draws N] [--min-ess N] [--chunk N] [--cores N] [--folder DIR] [--out CSV]
`pm.sample` samples the plain `pm.Model`: no code of this package runs, neither its search for
modes nor its coordinates nor its compiled density. Its NUTS is that of --sampler: "nutpie" by
default, since "pymc" takes 6 minutes and more for each series; see docs/validation.md.

Chunks of draws go into the folder, so that a run may be stopped and goes on from there. A chunk is
used only by the model that made it: folders are named by the density where chains start. Writes
means, standard deviations and quantiles with their Monte Carlo errors into
data/reference_posteriors.csv, to which tests/inference/test_reference.py holds ordinary fits.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import arviz as az
import pandas as pd
import xarray as xr

from bayes_scaling import Runs, load_model
from bayes_scaling._io.atomic import replacing
from bayes_scaling.datasets.krajewski2025 import PUBLISHED_CUTOFF, standard_runs
from bayes_scaling.modelling.bound import BoundModel

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "data" / "reference_posteriors.csv"
# Every ready law that reads compute alone. The standard series, in order of their names, take them
# in turn: nobody has chosen which law meets which series.
LAWS = (
    "power_law",
    "power_law_ceiling",
    "two_stage_logistic",
    "two_stage_linear",
    "exponential_loss",
    "broken_power_law",
    "drifting_power_law",
    "drifting_power_law_ceiling",
)
KEYS = ["benchmark", "metric", "law"]
QUANTILES = {"q05": 0.05, "q50": 0.5, "q95": 0.95}
CHAINS, TUNE = 4, 2000
# A chain of which more transitions diverge is stuck where its warm-up has left it: it is left out,
# and counted. The limit was set before any draws of such a chain were compared with ours.
MOST_DIVERGING = 0.01


def pairs() -> Iterator[tuple[Runs, str]]:
    """Yield each standard series below the cut-off, pass@k at k = 1, with the law that it gets."""
    for place, (key, runs) in enumerate(standard_runs().below(PUBLISHED_CUTOFF).series()):
        yield runs.select(k=1) if key.metric == "pass@k" else runs, LAWS[place % len(LAWS)]


def elements(bound: BoundModel, posterior: xr.Dataset) -> xr.Dataset:
    """Return every sampled number as a variable of its own, dimensions (chain, draw)."""
    found = {}
    for parameter in bound.parameters:
        values = posterior[parameter.name].transpose("chain", "draw", ...)
        flat = values.to_numpy().reshape(*values.shape[:2], -1)
        for i in range(flat.shape[2]):
            name = f"{parameter.name}[{i}]" if parameter.dims else parameter.name
            found[name] = (("chain", "draw"), flat[:, :, i])
    return xr.Dataset(found)


def summarise(draws: xr.Dataset) -> pd.DataFrame:
    """Return mean, sd and quantiles with their Monte Carlo errors, ESS and R-hat, by parameter.

    Parameters
    ----------
    draws : xarray.Dataset
        From :func:`elements`.
    """
    columns = {
        "mean": draws.mean(),
        "mean_mcse": az.mcse(draws),
        "sd": draws.std(),
        "sd_mcse": az.mcse(draws, method="sd"),
    }
    for name, q in QUANTILES.items():
        columns[name] = draws.quantile(q)
        columns[f"{name}_mcse"] = az.mcse(draws, method="quantile", prob=q)
    columns |= {"ess_bulk": az.ess(draws), "rhat": az.rhat(draws)}
    numbers = {
        name: {str(k): float(v) for k, v in found.items()} for name, found in columns.items()
    }
    return pd.DataFrame(numbers).rename_axis("parameter")


# ---- sampling ------------------------------------------------------------------------------------


def _folder(bound: BoundModel, root: Path) -> Path:
    """Return where the chunks of one posterior are; the density there tells models apart."""
    model = bound.pymc
    density = float(model.compile_logp()(model.initial_point(random_seed=0)))
    name = f"{bound.observations.attrs['benchmark']}-{bound.model.law_name}"
    return root / f"{name}-{density:.9g}"


def _sample_chunk(
    bound: BoundModel, number: int, draws: int, cores: int, sampler: str
) -> xr.Dataset:
    """Return new chains, with a warm-up of their own, and which transitions diverged."""
    tree = bound.sample(
        nuts_sampler=sampler,
        draws=draws,
        tune=TUNE,
        chains=CHAINS,
        cores=cores,
        random_seed=number,
        progressbar=False,
        compute_convergence_checks=False,
    )
    sampled = elements(bound, tree["posterior"].to_dataset())
    return sampled.assign(
        diverging=(("chain", "draw"), tree["sample_stats"]["diverging"].to_numpy())
    )


def _read(folder: Path) -> xr.Dataset | None:
    """Return all chains so far: those of short chunks are cut from others to one length."""
    chunks = [xr.load_dataset(file) for file in sorted(folder.glob("*.nc"))]
    if not chunks:
        return None
    length = min(chunk.sizes["draw"] for chunk in chunks)
    return xr.concat([chunk.isel(draw=slice(length)) for chunk in chunks], "chain")


def _without_stuck(draws: xr.Dataset) -> tuple[xr.Dataset, int]:
    """Return the chains whose transitions hardly diverge, and the number of others."""
    good = draws["diverging"].mean("draw") <= MOST_DIVERGING
    return draws.isel(chain=good.to_numpy().nonzero()[0]), int((~good).sum())


def reference(
    bound: BoundModel,
    root: Path,
    *,
    min_ess: float,
    max_draws: int,
    chunk: int,
    cores: int,
    sampler: str,
) -> pd.DataFrame:
    """Sample until every parameter's bulk ESS is large enough or draws are too many.

    Parameters
    ----------
    bound : BoundModel
        The posterior.
    root : pathlib.Path
        Where chunks are kept.
    min_ess : float
        Bulk ESS to reach.
    max_draws : int
        Draws, over all chains, after which no chunk is started.
    chunk : int
        Draws of each chain of a chunk.
    cores : int
        Chains that run at one time.
    sampler : str
        For the argument `nuts_sampler` of :func:`pymc.sample`.

    Returns
    -------
    pandas.DataFrame
        A row for each parameter: see :func:`summarise`, draws and divergences, and how many
        chains were left out.
    """
    folder = _folder(bound, root / sampler)
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        draws = _read(folder)
        made = 0 if draws is None else draws["diverging"].size
        if draws is not None:
            kept, stuck = _without_stuck(draws)
            table = summarise(kept.drop_vars("diverging"))
            table = table.assign(
                sampler=sampler,
                draws=kept["diverging"].size,
                divergences=int(kept["diverging"].sum()),
                stuck_chains=stuck,
            )
            print(f"{folder.name}: {made} draws, ESS {table['ess_bulk'].min():.0f}", flush=True)
            if table["ess_bulk"].min() >= min_ess or made >= max_draws:
                return table
        number = len(list(folder.glob("*.nc")))
        with replacing(folder / f"{number:04d}.nc") as path:
            _sample_chunk(bound, number, chunk, cores, sampler).to_netcdf(path)


def _write(table: pd.DataFrame, bound: BoundModel, out: Path) -> None:
    """Put the rows of one posterior into the CSV, in place of older ones."""
    named = dict(zip(KEYS, _key(bound), strict=True))
    rows = table.reset_index().assign(**named)[[*KEYS, "parameter", *table.columns]]
    if out.exists():
        old = pd.read_csv(out)
        others = old[(old[KEYS] != list(named.values())).any(axis=1)]
        rows = pd.concat([others, rows]).sort_values(KEYS, kind="stable")
    with replacing(out) as path:
        rows.to_csv(path, index=False, float_format="%.8g")


def _key(bound: BoundModel) -> tuple[str, str, str]:
    seen = bound.observations.attrs
    return seen["benchmark"], seen["metric"], bound.model.law_name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="*", default=[], metavar="BENCHMARK")
    parser.add_argument("--sampler", default="nutpie", choices=["nutpie", "pymc", "numpyro"])
    parser.add_argument("--max-draws", type=int, default=4_000_000)
    parser.add_argument("--min-ess", type=float, default=100_000)
    parser.add_argument("--chunk", type=int, default=25_000)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "reference")
    parser.add_argument("--out", type=Path, default=REFERENCE)
    options = parser.parse_args()
    for runs, law in pairs():
        if options.only and runs.benchmarks[0] not in options.only:
            continue
        bound = load_model(law).on(runs)
        table = reference(
            bound, options.folder, min_ess=options.min_ess, max_draws=options.max_draws,
            chunk=options.chunk, cores=options.cores, sampler=options.sampler,
        )  # fmt: skip
        _write(table, bound, options.out)


if __name__ == "__main__":
    main()

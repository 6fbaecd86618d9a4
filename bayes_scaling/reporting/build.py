"""A report of fits: one HTML file that can be sent, read on a phone, and printed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd

from bayes_scaling._io.atomic import write_text
from bayes_scaling.errors import BayesScalingError
from bayes_scaling.evaluation.behaviours import BEHAVIOURS
from bayes_scaling.evaluation.classification import Classification
from bayes_scaling.evaluation.results import Backtest
from bayes_scaling.fitting.fit import Fit
from bayes_scaling.fitting.shares import submit
from bayes_scaling.fitting.workers import executor_of
from bayes_scaling.plots import plot_behaviours, plot_calibration, plot_crps_by_distance
from bayes_scaling.reporting import words
from bayes_scaling.reporting.page import PageTable, render
from bayes_scaling.reporting.parts import Part
from bayes_scaling.reporting.pictures import picture
from bayes_scaling.reporting.told import BAD, Told, tell
from bayes_scaling.runs import Runs
from bayes_scaling.study.study import Study

_LIBRARIES = ("bayes-scaling", "pymc", "nutpie", "arviz", "pytensor", "numpy")


def report(
    fits: Study | Fit | Iterable[Fit],
    out: str | Path = "report.html",
    *,
    held_out: Runs | None = None,
    flops: Sequence[float] = (),
    targets: Sequence[float] = (),
    past: Backtest | None = None,
    behaviours: Classification | None = None,
    title: str = "What larger runs will score",
    notes: Sequence[str] = (),
    command: str = "",
    workers: int = 1,
    executor: Executor | None = None,
) -> Path:
    """Write a report of fits as one HTML file, which asks nothing of any network.

    Parameters
    ----------
    fits : Study, Fit or iterable of Fit
        What to report; of a study, all finished fits.
    out : path
        The file.
    held_out : Runs, optional
        Larger runs that were not fitted; each fit is shown those of its series.
    flops : sequence of float
        Budgets to forecast, in FLOPs; by default ten times the largest fitted one. Whatever else
        a law reads is held at the usual values of the fitted runs.
    targets : sequence of float
        Accuracies to be reached; by default each series has one of its own, half the error of its
        best fitted run.
    past : Backtest, optional
        Forecasts of larger runs among the fitted ones, from :func:`bayes_scaling.backtest`.
        The sentence on coverage is of its first model.
    behaviours : Classification, optional
        From :func:`bayes_scaling.classify`.
    title : str
        Title of the page.
    notes : sequence of str
        What was left out or chosen before the fits.
    command : str
        How to make the page again.
    workers : int
        Series that are worked on at one time; see :func:`bayes_scaling.backtest`.
    executor : concurrent.futures.Executor, optional
        As for that function.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    BayesScalingError
        If there is no fit.

    Examples
    --------
    >>> from bayes_scaling import fit_runs, load_dataset
    >>> runs = load_dataset(mixture="dclm").select("arc_easy", "acc", tokens_per_param=20)
    >>> fit = fit_runs(runs.below(6e21), "power_law")
    >>> report(fit, "report.html", held_out=runs.above(6e21), targets=[0.85]).name
    'report.html'
    """
    parts = _parts(fits, held_out, tuple(flops), tuple(targets))
    plt.switch_backend("agg")
    with executor_of(min(workers, len(parts)), executor) as helpers:
        # What follows is made here while the helpers work.
        told_later = None if helpers is None else [submit(helpers, tell, p.bare) for p in parts]
        headline = words.headline(parts)
        past_section = None if past is None else _past(past, parts)
        behaviours_section = None if behaviours is None else _behaviours(behaviours)
        told = [one.result() for one in told_later] if told_later else [tell(p) for p in parts]
    text = render(
        title=title,
        headline=headline,
        date=date.today().isoformat(),
        version=version("bayes-scaling"),
        alerts=_alerts(told, past, behaviours),
        bad=BAD,
        any_bad=any(part.problems for part in parts),
        forecasts=PageTable.of(pd.concat([one.forecasts for one in told], ignore_index=True)),
        held_out_sentence=words.held_out_sentence(
            sum(t.inside for t in told), sum(t.n for t in told)
        ),
        budgets=PageTable.of(pd.concat([one.budgets for one in told], ignore_index=True)),
        target_note=""
        if targets
        else "The target of each series is half the error of its best "
        "fitted run, because none was asked for.",
        parts=told,
        data=PageTable.of(pd.concat([one.data for one in told], ignore_index=True)),
        notes=[*dict.fromkeys([*notes, *(note for part in parts for note in part.fit.runs.notes)])],
        past=past_section,
        behaviours=behaviours_section,
        models=list({(one.model.name, one.model.priors.rows): one.model for one in told}.values()),
        command=command,
        versions=[(name, version(name)) for name in _LIBRARIES],
        sampling=_sampling(parts),
    )
    write_text(Path(out), text)
    return Path(out)


def _parts(
    fits: Study | Fit | Iterable[Fit],
    held_out: Runs | None,
    flops: tuple[float, ...],
    targets: tuple[float, ...],
) -> list[Part]:
    if isinstance(fits, Study):
        given = [fit for _, fit in fits.fits()]
    else:
        given = [fits] if isinstance(fits, Fit) else list(fits)
    if other := [fit for fit in given if not isinstance(fit, Fit)]:
        raise BayesScalingError(
            f"a report is of fits of single series, not of {type(other[0]).__name__}"
        )
    if not given:
        raise BayesScalingError("a report needs at least one fit; a study may not have run yet")
    return [
        Part(label, fit, _of_series(fit, held_out), flops, targets)
        for label, fit in zip(_labels(given), given, strict=True)
    ]


def _labels(fits: Sequence[Fit]) -> list[str]:
    """Return names that tell fits apart: benchmark and metric, and mixture, law or cut-off."""
    candidates = [
        lambda a, fit: f"{a['benchmark']} {a['metric']}",
        lambda a, fit: f"{a['benchmark']} {a['metric']}, {a['mixture']}",
        lambda a, fit: f"{a['benchmark']} {a['metric']}, {a['mixture']}, {fit.model.law_name}",
        lambda a, fit: (
            f"{a['benchmark']} {a['metric']}, {a['mixture']}, {fit.model.law_name}, up to "
            f"{fit.runs.table['flops'].max():.3g} FLOPs"
        ),
    ]
    for name in candidates:
        labels = [name(fit.observations.attrs, fit) for fit in fits]
        if len(set(labels)) == len(labels):
            return labels
    counts: Counter[str] = Counter()
    numbered = []
    for label in labels:
        counts[label] += 1
        numbered.append(f"{label} ({counts[label]})")
    return numbered


def _of_series(fit: Fit, held_out: Runs | None) -> Runs | None:
    """Return the held-out runs of a fit's series; None if there are none."""
    seen, fitted = fit.observations.attrs, fit.runs.table
    for key, rows in () if held_out is None else held_out.series():
        if [key.benchmark, key.metric, key.mixture] == [seen[name] for name in words.SERIES]:
            larger = rows.above(float(fitted["flops"].max()))
            samples = fitted["k"].dropna().unique()
            if len(samples) == 1 and (larger.table["k"] == samples[0]).any():
                larger = larger.select(k=int(samples[0]))
            return larger if len(larger) else None
    return None


# ---- sections ------------------------------------------------------------------------------------


def _alerts(
    told: Sequence[Told], past: Backtest | None, behaviours: Classification | None
) -> list[tuple[str, str, str]]:
    """Return all alerts, those of what has not converged first."""
    found = [alert for one in told for alert in one.alerts]
    if past is not None and len(past.fits):
        bad = int((past.fits["problems"] != "").sum())
        if bad:
            found.append((BAD, "past forecasts", f"{bad} of {len(past.fits)} fits"))
    if behaviours is not None:
        table = behaviours.table()
        trends = table[table["problems"] != ""]
        found += [(BAD, f"trend of {row.task}", f"{row.problems}") for row in trends.itertuples()]
    return sorted(found, key=lambda alert: alert[0] != BAD)


def _past(past: Backtest, parts: Sequence[Part]) -> dict[str, Any]:
    columns = ["model", "crps", "crps_low", "crps_high", "mae", "cover50", "cover90", "width90"]
    weights = past.weights_ahead()
    table = past.by_model().assign(weight=lambda rows: rows["model"].map(weights))
    by_loo = past.by_loo()
    laws = {
        (part.fit.observations.attrs["benchmark"], part.fit.observations.attrs["metric"]): (
            part.fit.model.law_name
        )
        for part in parts
    }
    routes = past.routes() if past.pairs else None
    figures = {
        "Calibration of past forecasts": plot_calibration,
        "Error of past forecasts by distance": plot_crps_by_distance,
    }
    return {
        "sentence": words.coverage_sentence(past, laws),
        "models": PageTable.of(table, [*columns, *["weight"] * bool(weights), "n"]),
        "weighted": bool(weights),
        "by_loo": None if by_loo.empty else PageTable.of(by_loo),
        "routes": None if routes is None or routes.empty else PageTable.of(routes),
        "verdicts": past.verdicts(),
        "pictures": [picture(plot(past.scores), text) for text, plot in figures.items()],
    }


def _behaviours(found: Classification) -> dict[str, Any]:
    chances = [f"p_{name}" for name in BEHAVIOURS]
    names = ["task", "behaviour", *chances, "explained", "problems", "reason"]
    figure = plot_behaviours(found)
    return {
        "sentence": words.behaviour_sentence(found),
        "table": PageTable.of(found.table().round(2), names),
        "picture": picture(figure, f"Accuracy of each task against {found.loss}"),
    }


def _sampling(parts: Sequence[Part]) -> str:
    told = set()
    for fit in (part.fit for part in parts):
        sizes: Mapping[Any, int] = fit.posterior.sizes
        size = f"{sizes['chain']} chains of {sizes['draw']} draws"
        told.add(f"{size} by {fit.sampler}, seed {fit.seed}")
    return f"{'; '.join(sorted(told))}."

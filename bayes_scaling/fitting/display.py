"""How a fit shows its parameters, as a table and in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import pandas as pd
import xarray as xr

if TYPE_CHECKING:
    from bayes_scaling.fitting.fit import Fit


def one_line(fit: Fit, failed: str) -> str:
    """Return what was fitted to what, and what is wrong; see :meth:`Fit.describe`."""
    seen, problems = fit.observations, fit.diagnostics.problems()
    left_out = len(fit.runs) - seen.sizes["row"]
    return (
        f"{fit.model.law_name} ({fit.model.likelihood_name}, {fit.model.floor} floor) on "
        f"{seen.attrs['benchmark']} {seen.attrs['metric']}, {seen.attrs['mixture']}: "
        f"{seen.sizes['row']} scores"
        + (f" ({left_out} within 5 points of chance left out)" if left_out else "")
        + ("; NOT CONVERGED: " + "; ".join(problems) if problems else "; converged")
        + (f"; fails checks of residuals: {failed}" if failed else "")
    )


def parameter_table(posterior: xr.Dataset) -> pd.DataFrame:
    """Return mean, sd and 90% interval of every scalar parameter; see :meth:`Fit.parameters`."""
    dims = ("chain", "draw")
    scalars = posterior[[k for k, v in posterior.items() if v.ndim == 2]]
    low, high = (scalars.quantile(q, dim=dims) for q in (0.05, 0.95))
    columns = {"mean": scalars.mean(dims), "sd": scalars.std(dims, ddof=1), "q05": low, "q95": high}
    return pd.DataFrame(
        {
            name: {str(v): float(values[v]) for v in scalars.data_vars}
            for name, values in columns.items()
        }
    )


def as_html(
    title: str, parameters: pd.DataFrame, problems: Sequence[str], failed: Sequence[str] = ()
) -> str:
    """Return a fit as a small table of its parameters, in HTML.

    Parameters
    ----------
    title : str
        What was fitted to what.
    parameters : pandas.DataFrame
        One row per parameter: mean, sd, q05, q95.
    problems : sequence of str
        Why the draws should not be trusted; empty if they can be.
    failed : sequence of str
        Sentences of failed checks.
    """
    colour = ' style="color:#B00020"' if problems else ""
    rows = "".join(
        f"<tr><th>{escape(str(name))}</th><td>{row['mean']:.4g}</td><td>{row['sd']:.2g}</td>"
        f"<td>{row['q05']:.4g} to {row['q95']:.4g}</td></tr>"
        for name, row in parameters.iterrows()
    )
    return (
        f"<div><p{colour}><strong>{escape(title)}</strong></p><table><thead><tr><th>parameter</th>"
        f"<th>mean</th><th>sd</th><th>90% interval</th></tr></thead><tbody>{rows}</tbody></table>"
        f"{_as_list(failed)}</div>"
    )


def _as_list(sentences: Sequence[str]) -> str:
    if not sentences:
        return ""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f'<p style="color:#B00020">Checks that fail:</p><ul>{items}</ul>'

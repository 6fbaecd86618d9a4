"""How a fit shows itself in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import pandas as pd


def as_html(title: str, parameters: pd.DataFrame, problems: Sequence[str]) -> str:
    """Return a fit as a small table of its parameters, in HTML.

    Parameters
    ----------
    title : str
        What was fitted to what.
    parameters : pandas.DataFrame
        One row per parameter: mean, sd, q05, q95.
    problems : sequence of str
        Why the draws should not be trusted; empty if they can be.
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
        "</div>"
    )

"""Does the loss help? Direct laws against laws through each loss, on the development ladders.

Run: uv run python benchmarks/routes.py --data FOLDER [--only LADDER ...] [--workers N]
    [--folder DIR] [--write-docs]
FOLDER holds the tables of the other ladders, as `load_gadre` and `load_olmo_ladder` read them.

The rule, written before the first table was made: on each ladder, runs of at most a tenth and of
at most a hundredth of its largest budget are fitted, and the larger runs are scored. Nothing above
6e21 FLOPs of the embedded DCLM ladder is used. Ladders of one ratio of tokens to parameters have
the four pairs in compute, ladders of several ratios the two pairs in parameters and tokens. A
route helps, in a band of distance, if the 90% interval of the difference of mean CRPS, clustered by
run and benchmark, lies on its side of 0; otherwise the answer is "cannot tell".

Of each ladder of Gadre et al. every third of the 46 tasks takes part, in the order of the alphabet:
all of them take hours. This was written down before any of their scores was seen.

There is a table by benchmark as well, without intervals: the forecasts of one benchmark's runs come
from one curve, so one benchmark does not say how far chance goes.

Fits are kept in DIR, so that a run may be stopped and goes on. Prints the tables, and one JSON line
last.
"""

import argparse
import json
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from pages import as_markdown, replace_between

from bayes_scaling import Backtest, FitStore, Runs, ScalingModel, backtest, load_model
from bayes_scaling.datasets.gadre2024 import load_gadre
from bayes_scaling.datasets.krajewski2025 import PUBLISHED_CUTOFF, standard_runs
from bayes_scaling.datasets.olmo_ladder import load_olmo_ladder
from bayes_scaling.evaluation.splits import with_one_k

ROOT = Path(__file__).resolve().parent.parent
IN_COMPUTE = (
    "power_law",
    "power_law_ceiling",
    "drifting_power_law",
    "drifting_power_law_ceiling",
)
IN_BOTH = ("params_tokens_power", "drifting_params_tokens")
FRACTIONS = (0.1, 0.01)
TASK_LOSS = "task_loss"
EVERY_THIRD = slice(None, None, 3)


@dataclass(frozen=True)
class Ladder:
    """A ladder: its runs, the direct laws of the pairs, and the losses."""

    name: str
    runs: Runs
    laws: tuple[str, ...]
    losses: tuple[str, ...]

    @property
    def cutoffs(self) -> list[float]:
        """Budgets to fit up to, in FLOPs."""
        largest = float(self.runs.table["flops"].max())
        return [fraction * largest for fraction in FRACTIONS]

    def models(self) -> dict[str, ScalingModel]:
        """Return direct laws, and for each loss the laws through it."""
        found = {law: load_model(law) for law in self.laws}
        for loss in self.losses:
            for law in self.laws:
                name = f"loss_{law}"
                found[f"{name} ({loss})"] = load_model(name).with_options(loss=loss)
        return found


def ladders(data: Path, gadre_tasks: slice = EVERY_THIRD) -> Iterator[Ladder]:
    """Yield the development ladders."""
    corpus = ("loss_dclm", "loss_c4", "loss_fineweb")
    for mixture in ("dclm", "c4"):
        runs = with_one_k(standard_runs(mixture).below(PUBLISHED_CUTOFF))
        yield Ladder(f"Krajewski {mixture}, 20", runs, IN_COMPUTE, corpus)
        scored = runs.table.dropna(subset=[TASK_LOSS])
        if len(scored):
            own = Runs.from_frame(scored)
            yield Ladder(f"Krajewski {mixture}, 20, own loss", own, IN_COMPUTE, (TASK_LOSS,))
    runs = with_one_k(standard_runs("dclm", tokens_per_param=None).below(PUBLISHED_CUTOFF))
    yield Ladder("Krajewski dclm, all ratios", runs, IN_BOTH, corpus[:1])
    yield Ladder("OLMo", load_olmo_ladder(data / "olmo_ladder.csv"), IN_BOTH, (TASK_LOSS,))
    gadre = load_gadre(data)
    tasks = sorted(gadre.table["benchmark"].unique())[gadre_tasks]
    for mixture in ("c4_original", "rpj", "rw_original"):
        part = gadre.select(mixture=mixture, benchmark=tasks)
        yield Ladder(f"Gadre {mixture}", part, IN_BOTH, ("loss_c4_val",))


def run(ladder: Ladder, folder: Path, workers: int) -> Backtest:
    """Fit and score every model of a ladder."""
    start = time.perf_counter()
    result = backtest(
        ladder.models(),
        ladder.runs,
        ladder.cutoffs,
        baselines=False,
        stack=False,
        store=FitStore(folder),
        workers=workers,
        on_fit=lambda what: print(f"  {time.perf_counter() - start:6.0f} s  {what}", flush=True),
        draws=500,
        tune=500,
    )
    print(result.skipped.groupby(["model", "reason"]).size().to_string(), flush=True)
    print(f"not converged: {(result.fits['problems'] != '').sum()} of {len(result.fits)}")
    return result


def table_of(name: str, result: Backtest, by: list[str]) -> pd.DataFrame:
    """Return the rows of one ladder for the page."""
    found = result.routes(by=by)
    shown = pd.DataFrame({"ladder": name, **{column: found[column] for column in by}})
    shown["direct law"], shown["loss"] = found["direct"], found["loss"]
    shown["scores"] = found["n"]
    shown["direct"] = found["direct_mean"].map("{:.4f}".format)
    shown["through"] = found["through_mean"].map("{:.4f}".format)
    ends = zip(found["difference"], found["low"], found["high"], strict=True)
    shown["difference"] = [_with_interval(d, low, high) for d, low, high in ends]
    shown["better"] = found["better"]
    return shown


def _with_interval(difference: float, low: float, high: float) -> str:
    """Return a difference with its interval, if there is one."""
    between = "" if pd.isna(low) else f" ({low:+.4f} to {high:+.4f})"
    return f"{difference:+.4f}{between}"


def coverage_of(name: str, result: Backtest) -> pd.DataFrame:
    """Return CRPS and coverage of each model, with intervals."""
    found = result.by_model()
    return pd.DataFrame(
        {
            "ladder": name,
            "model": found["model"],
            "CRPS": found["crps"].map("{:.4f}".format),
            "inside 90%": [
                f"{c:.0%} ({low:.0%} to {high:.0%})"
                for c, low, high in zip(
                    found["cover90"], found["cover90_low"], found["cover90_high"], strict=True
                )
            ],
            "width": found["width90"].map("{:.3f}".format),
        }
    )


def merged(new: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Return a kept table with the rows of the ladders that were run now, and keep it."""
    old = pd.read_csv(path, dtype=str, keep_default_na=False) if path.is_file() else new.iloc[:0]
    table = pd.concat([old[~old["ladder"].isin(new["ladder"])], new], ignore_index=True)
    table.to_csv(path, index=False)
    return table


def write_docs(new: pd.DataFrame, by_benchmark: pd.DataFrame, new_coverage: pd.DataFrame) -> None:
    """Write the tables into docs/comparison.md, laws side by side; other ladders' rows stay."""
    whole = merged(new, ROOT / "docs" / "routes.csv")
    merged(by_benchmark, ROOT / "docs" / "routes_by_benchmark.csv")
    coverage = merged(new_coverage, ROOT / "docs" / "routes_coverage.csv")
    marks = {"cannot tell": "", "direct": " **direct**", "through the loss": " **loss**"}
    cells = whole.assign(cell=whole["difference"] + whole["better"].map(marks))
    page = ROOT / "docs" / "comparison.md"
    text = page.read_text(encoding="utf-8")
    rows = ["ladder", "loss", "distance"]
    parts = []
    for laws in (IN_COMPUTE, IN_BOTH):
        part = cells[cells["direct law"].isin(laws)]
        if len(part):
            wide = part.pivot_table("cell", rows, "direct law", "first", observed=True)[list(laws)]
            order = part[rows].drop_duplicates()
            parts.append(as_markdown(order.merge(wide.reset_index(), on=rows)))
    text = replace_between(text, "routes", "\n\n".join(parts))
    page.write_text(replace_between(text, "coverage", as_markdown(coverage)), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "routes")
    parser.add_argument("--write-docs", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    start, tables, by_benchmark, coverage = time.perf_counter(), [], [], []
    for ladder in ladders(options.data):
        if options.only and ladder.name not in options.only:
            continue
        print(f"{ladder.name}: cut-offs {ladder.cutoffs}", flush=True)
        result = run(ladder, options.folder, options.workers)
        tables.append(table_of(ladder.name, result, ["distance"]))
        by_benchmark.append(table_of(ladder.name, result, ["benchmark"]))
        coverage.append(coverage_of(ladder.name, result))
        result.scores.to_csv(options.folder / f"{ladder.name}.csv", index=False)
        print(tables[-1].to_string(index=False), coverage[-1].to_string(index=False), sep="\n")
    whole = pd.concat(tables, ignore_index=True)
    if options.write_docs:
        write_docs(whole, pd.concat(by_benchmark), pd.concat(coverage))
    answers = whole["better"].value_counts().to_dict()
    print(json.dumps({"answers": answers, "seconds": round(time.perf_counter() - start)}))


if __name__ == "__main__":
    main()

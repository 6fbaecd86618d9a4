"""How time and memory of a study grow with the number of series.

Run: uv run python benchmarks/many_series.py [10 100 1000]
Each number of simulated series is fitted by power_law in a process of its own (one worker).
Prints one JSON line last: for each number the wall time, the time a further fit takes, and the
peak memory of the process.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from typing import Any

N_RUNS = 30


def simulated(n_series: int) -> Any:
    """Return ladders of N_RUNS runs with exponents, levels and scatter of a realistic range."""
    import numpy as np
    import pandas as pd

    from bayes_scaling.runs import Runs

    rng = np.random.default_rng(0)
    flops = np.geomspace(1e18, 6e21, N_RUNS)
    tables = []
    for i in range(n_series):
        level, exponent = rng.uniform(0.5, 1.5), rng.uniform(0.05, 0.3)
        loss = level * (flops / 1e20) ** -exponent
        score = np.clip(np.exp(-loss) + rng.normal(0, 0.01, N_RUNS), 0.001, 0.999)
        tables.append(
            pd.DataFrame(
                {
                    "run": [f"run-{j}" for j in range(N_RUNS)],
                    "flops": flops,
                    "benchmark": f"simulated-{i}",
                    "metric": "acc",
                    "score": score,
                    "chance": 0.0,
                }
            )
        )
    return Runs.from_frame(pd.concat(tables, ignore_index=True))


def measure(n_series: int) -> dict[str, float]:
    """Fit so many series in this process."""
    from bayes_scaling import Study

    runs = simulated(n_series)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        index = Study(["power_law"], runs, folder).run(progress=False)
    return {
        "series": n_series,
        "done": int((index["status"] == "done").sum()),
        "seconds": round(time.perf_counter() - start, 1),
        "seconds_per_further_fit": round(float(index["seconds"].iloc[1:].mean()), 3),
        "peak_megabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("numbers", type=int, nargs="*", default=[10, 100, 1000])
    parser.add_argument("--here", action="store_true", help="measure in this process")
    options = parser.parse_args()
    if options.here:
        warnings.simplefilter("ignore")
        print(json.dumps(measure(options.numbers[0])))
        return
    results = []
    for number in options.numbers:
        done = subprocess.run(
            [sys.executable, __file__, "--here", str(number)],
            check=True,
            capture_output=True,
            text=True,
        )
        results.append(json.loads(done.stdout.splitlines()[-1]))
        print(results[-1], flush=True)
    print(json.dumps(results))


if __name__ == "__main__":
    main()

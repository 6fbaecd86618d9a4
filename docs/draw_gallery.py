"""Run the scripts of the gallery, and store the figures that they make.

Run: uv run python docs/draw_gallery.py [NAME ...]
"""

import runpy
import sys
import warnings
from pathlib import Path

import matplotlib.pyplot as plt

HERE = Path(__file__).resolve().parent


def main() -> None:
    warnings.simplefilter("ignore")
    plt.switch_backend("agg")
    folder = HERE / "img" / "gallery"
    folder.mkdir(parents=True, exist_ok=True)
    for script in sorted((HERE / "gallery").glob("*.py")):
        if sys.argv[1:] and script.stem not in sys.argv[1:]:
            continue
        figure = runpy.run_path(str(script))["figure"]
        figure.savefig(folder / f"{script.stem}.png", dpi=90)
        plt.close("all")
        print(script.stem, flush=True)


if __name__ == "__main__":
    main()

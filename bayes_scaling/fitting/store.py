"""A folder of finished fits, so that interrupted work goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayes_scaling.errors import BayesScalingError
from bayes_scaling.modelling.model import ScalingModel
from bayes_scaling.runs import Runs

if TYPE_CHECKING:
    from bayes_scaling.fitting.fit import Fit

# Settings that the draws do not depend on.
_IDLE_SETTINGS = ("cores", "progress")


@dataclass(frozen=True)
class FitStore:
    """Fits by what went into them: model, runs, settings and version of the package.

    Attributes
    ----------
    folder : pathlib.Path or None
        Where fits are kept, one NetCDF file each; None keeps none.
    made_by : str
        Version of the package that fits are filed under, by default the installed one. Another
        version makes its own fits.

    Examples
    --------
    >>> import tempfile
    >>> from bayes_scaling import FitStore, load_dataset, load_model
    >>> runs = load_dataset(mixture="dclm").select("arc_easy", "acc", tokens_per_param=20)
    >>> store = FitStore(Path(tempfile.mkdtemp()))
    >>> fit = store.fit(runs, load_model("power_law"), draws=500)
    >>> len(list(store.folder.glob("*.nc")))
    1
    """

    folder: Path | None
    made_by: str = field(default_factory=lambda: version("bayes-scaling"))

    def fit(self, runs: Runs, model: ScalingModel, **settings: Any) -> Fit:
        """Return the fit of a model to runs, from the folder if it is there already.

        Parameters
        ----------
        runs, model, **settings
            As for :func:`bayes_scaling.fitting.fit.fit_runs`.
        """
        # Imported here because the sampler takes seconds to import, and the process that directs
        # a study only asks for names.
        from bayes_scaling.fitting.fit import Fit, fit_runs

        if self.folder is None:
            return fit_runs(runs, model, **settings)
        path = self.path(self.name(runs, model, **settings))
        if path.is_file():
            try:
                return Fit.load(path, law=model.law)
            except BayesScalingError:
                pass  # damaged from outside: fit it again and replace it
        fit = fit_runs(runs, model, **settings)
        fit.save(path)
        return fit

    def path(self, name: str) -> Path:
        """Return the path of a file in the folder, which is made if it is not there.

        Raises
        ------
        BayesScalingError
            If nothing is kept.
        """
        if self.folder is None:
            raise BayesScalingError("this store has no folder, so it keeps nothing")
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / name

    def name(self, runs: Runs, model: ScalingModel, **settings: Any) -> str:
        """Return the name of a fit's file, a hash of all that its draws depend on."""
        spec = json.dumps(_without_reasons(model.to_dict()), sort_keys=True)
        return name_of_file(self.made_by, spec, runs, settings)


def name_of_file(made_by: str, spec: str, runs: Runs, settings: Mapping[str, Any]) -> str:
    """Return the name of a kept file: a hash of version, specification, runs and settings."""
    telling = {name: value for name, value in settings.items() if name not in _IDLE_SETTINGS}
    parts = [
        made_by,
        spec,
        json.dumps(telling, sort_keys=True),
        runs.to_frame().to_csv(index=False),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24] + ".nc"


def _without_reasons(spec: dict[str, Any]) -> dict[str, Any]:
    """Return a model's specification without the reasons of its priors: no draw reads them."""
    priors = {
        name: {key: value for key, value in prior.items() if key != "reason"}
        for name, prior in spec["priors"].items()
    }
    return spec | {"priors": priors}

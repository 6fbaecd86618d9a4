"""The package's errors and warnings; each message names the place and the mend."""

from pathlib import Path

# Warnings point at the caller's line, not at one inside the package.
PACKAGE = (str(Path(__file__).resolve().parent),)


def printable(text: str) -> str:
    """Escape what cannot be printed: texts come from files of strangers and go to terminals."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


class BayesScalingError(ValueError):
    """Base of every error that the package raises on purpose."""


class RunsError(BayesScalingError):
    """A table of runs that cannot be used as it stands."""


class ModelError(BayesScalingError):
    """A model that does not fit its law, or runs that a model cannot be fitted to."""


class RunsWarning(UserWarning):
    """Something in a table of runs that a careful reader should know of."""


class SamplerWarning(UserWarning):
    """A sampler that cannot be used here, and the one that was used in its place."""


class ConvergenceWarning(UserWarning):
    """A posterior whose draws should not be trusted as they stand."""


class ExtrapolationWarning(UserWarning):
    """A forecast beyond the runs that its weights were found on."""

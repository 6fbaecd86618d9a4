"""Follow a study from its folder, whichever process does the work."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Self

from bayes_scaling.study.folder import StudyFolder
from bayes_scaling.study.jobs import Job

_INDEX_SECONDS = 10.0


class Watch:
    """Tells a progress bar what is finished, and keeps the index up to date.

    Parameters
    ----------
    folder : StudyFolder
    jobs : mapping of str to Job
        Every job of the study, by the name of its fit.
    show : callable
        Called with how many fits are done, how many failed, and what is under way.
    """

    def __init__(
        self, folder: StudyFolder, jobs: Mapping[str, Job], show: Callable[[int, int, str], None]
    ) -> None:
        self._folder, self._jobs, self._show = folder, jobs, show
        self._left, self._counts = dict(jobs), Counter[str]()
        self._written = -_INDEX_SECONDS
        self._what = "starting"

    def __enter__(self) -> Self:
        self.look()
        return self

    def __exit__(self, *_: object) -> None:
        self.look()
        self._folder.write_index(self._jobs)

    def look(self, current: Job | None = None) -> None:
        """See what has been finished since the last look."""
        for name in self._folder.finished() & self._left.keys():
            job = self._left.pop(name)
            self._counts[self._folder.outcome(name).status] += 1
            self._what = f"finished {job}"
        if current is not None:
            self._what = str(current)
        self._show(self._counts["done"], self._counts["failed"], self._what)
        if time.monotonic() - self._written > _INDEX_SECONDS:
            self._folder.write_index(self._jobs)
            self._written = time.monotonic()

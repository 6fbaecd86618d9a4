"""Fits made ahead by workers: what takes longest is handed out first."""

from concurrent.futures import Executor, Future

import cloudpickle

from bayes_scaling import FitStore, load_model
from bayes_scaling.fitting.shares import fit_ahead


class Recorder(Executor):
    """An executor that does nothing, and remembers the laws of what it was given."""

    def __init__(self):
        self.given = []

    def submit(self, function, /, packed):
        _, (_, part, _) = cloudpickle.loads(packed)
        self.given.append([model.law.name for _, model in part])
        done = Future()
        done.set_result(None)
        return done


def test_laws_that_sample_many_numbers_come_first(dclm, tmp_path):
    """Also where they have fewer series: the last fits should be short ones."""
    runs = dclm.select(metric="acc", tokens_per_param=20).below(6e21)
    series = [rows for _, rows in runs.series()]
    short, long = load_model("power_law"), load_model("drifting_power_law")
    tasks = [(rows, short) for rows in series] + [(rows, long) for rows in series[:2]]
    recorder = Recorder()
    steps = list(fit_ahead(FitStore(tmp_path), tasks, {}, recorder, workers=2))
    assert steps[-1] == (len(tasks), len(tasks))
    assert recorder.given[0][0] == long.law.name
    assert sum(map(len, recorder.given)) == len(tasks)

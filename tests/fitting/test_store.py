"""Stored fits: found again by what they are of, complete or absent."""

import os
import time

import pytest
import xarray as xr
from fakes import install

from bayes_scaling import FitStore, load_model
from bayes_scaling._io import atomic

SETTINGS = {"draws": 5, "tune": 5, "chains": 2, "seed": 3}


@pytest.fixture(scope="module")
def model():
    return load_model("power_law")


# ---- names -------------------------------------------------------------------------------------


def test_a_name_stands_for_all_that_draws_depend_on(arc_easy, series, model):
    store = FitStore(None)
    name = store.name(arc_easy, model, **SETTINGS)
    assert name == store.name(arc_easy, model, **SETTINGS)
    others = [
        store.name(series("piqa", "acc_norm"), model, **SETTINGS),
        store.name(arc_easy, model.with_options(floor="fixed"), **SETTINGS),
        store.name(arc_easy, model, **SETTINGS | {"seed": 4}),
        FitStore(None, "0.0.1").name(arc_easy, model, **SETTINGS),
    ]
    assert len({name, *others}) == 5


def test_cores_are_no_part_of_a_name(arc_easy, model):
    store = FitStore(None)
    assert store.name(arc_easy, model, **SETTINGS, cores=2) == store.name(
        arc_easy, model, **SETTINGS
    )


# ---- complete or absent ------------------------------------------------------------------------


def test_a_write_that_fails_leaves_nothing_and_keeps_what_was_there(tmp_path):
    path = tmp_path / "file"
    path.write_text("before")

    def interrupted():
        with atomic.replacing(path) as part:
            part.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / "file"
    with atomic.replacing(path) as one, atomic.replacing(path) as other:
        one.write_text("one")
        other.write_text("other")
    assert path.read_text() == "one"
    assert list(tmp_path.iterdir()) == [path]


def test_only_parts_without_a_writer_are_removed(tmp_path):
    live, dead = tmp_path / "a.nc.1.part", tmp_path / "b.nc.2.part"
    for path in (live, dead, tmp_path / "c.nc"):
        path.write_text("")
    for path in (dead, tmp_path / "c.nc"):
        os.utime(path, (time.time() - 1e5,) * 2)
    atomic.remove_abandoned(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"a.nc.1.part", "c.nc"}


def test_a_half_written_fit_does_not_count(tmp_path, arc_easy, model, monkeypatch):
    install(patch=monkeypatch.setattr)
    store = FitStore(tmp_path)
    store.fit(arc_easy, model, **SETTINGS)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    file.rename(tmp_path / f"{file.name}.1.part")
    (tmp_path / f"{file.name}.1.part").write_bytes(whole[: len(whole) // 2])
    store.fit(arc_easy, model, **SETTINGS)
    assert xr.open_datatree(file)["posterior"]["level"].size == 10

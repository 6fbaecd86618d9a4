"""check_file: all problems of a file at once, and never a traceback."""

import pytest
from tables import ladder
from typer.testing import CliRunner

from bayes_scaling.datasets import check_file, load_dataset


def write(path, table):
    table.to_csv(path, index=False)
    return path


def test_a_sound_file(tmp_path):
    path = write(tmp_path / "runs.csv", ladder())
    found = check_file(path)
    assert found.problems == ()
    assert found.n_rows == 4
    assert len(found.runs) == 4
    assert "0 errors, 0 warnings in 4 rows" in str(found)


def test_everything_is_listed_with_counts(tmp_path):
    table = ladder(
        score=[0.1, 53.0, 0.5, 0.6],
        params=["100M", "2e8", "-1", "8e8"],
        chance=["0.25", "0.25", "0.25", "1.5"],
        n_items=[100, 100, 10.5, 100],
        stderr=[0.9, None, None, None],
    )
    found = check_file(write(tmp_path / "runs.csv", table))
    assert found.runs is None
    places = {(p.column, p.rows[0]) for p in found.errors}
    # Lines of the file: the header is line 1.
    assert places == {("score", 3), ("params", 4), ("n_items", 4), ("chance", 5)}
    assert {p.kind for p in found.warnings} == {"stderr", "below chance"}
    assert found.counts["error", "chance"] == 1
    text = str(found)
    assert text.splitlines()[0].endswith("4 errors, 2 warnings in 4 rows")
    assert "error: row 3, column 'score': 53 is not in [0, 1]" in text
    assert "note: params: converted 1 values with units" in text


def test_errors_come_first(tmp_path):
    table = ladder(score=[0.1, 0.2, 0.3, 2.0])
    levels = [p.level for p in check_file(write(tmp_path / "runs.csv", table)).problems]
    assert levels == sorted(levels)


def test_the_real_figures(tmp_path):
    real = load_dataset(mixture="dclm")
    real.to_csv(tmp_path / "runs.csv")
    found = check_file(tmp_path / "runs.csv")
    assert found.errors == ()
    assert found.runs == real
    table = real.table
    assert found.counts["warning", "below chance"] == (table["score"] < table["chance"]).sum()
    assert found.counts["warning", "exactly 0 or 1"] == table["score"].isin([0, 1]).sum()


@pytest.mark.parametrize("name", ["absent.csv", "absent.parquet", "."])
def test_unreadable_files_are_a_finding(name, tmp_path):
    found = check_file(tmp_path / name)
    assert [p.kind for p in found.errors] == ["file"]
    assert "cannot be read" in str(found)


def test_columns_and_defaults(tmp_path):
    table = ladder().rename(columns={"score": "accuracy"}).drop(columns="metric")
    path = write(tmp_path / "runs.csv", table)
    assert len(check_file(path).errors) == 2
    assert check_file(path, columns={"accuracy": "score"}, metric="acc").errors == ()


def test_parquet(tmp_path):
    ladder().to_parquet(tmp_path / "runs.parquet")
    assert check_file(tmp_path / "runs.parquet").errors == ()


def test_the_command(tmp_path):
    """Findings go to stdout, and the exit code tells whether the file can be used."""
    from bayes_scaling.cli.app import app

    sound = write(tmp_path / "sound.csv", ladder(score=[0.1, 0.4, 0.5, 0.6]))
    broken = write(tmp_path / "broken.csv", ladder(score=[31, 40, 50, 60], flops=-1))
    result = CliRunner().invoke(app, ["check", str(sound)])
    assert result.exit_code == 0
    assert "1 of 4 scores of arc_easy acc are below chance" in result.stdout
    for path, words in {broken: "divide by 100", tmp_path / "absent.csv": "cannot be read"}.items():
        result = CliRunner().invoke(app, ["check", str(path)])
        assert result.exit_code == 2
        assert words in result.stdout
        assert "Traceback" not in result.output

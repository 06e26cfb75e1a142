"""numgeom new plugin: what it writes works as it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from numgeom.cli import main


def test_a_new_plugin_passes_its_own_test(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main_ok(["new", "plugin", "my_metric", "--in", str(tmp_path)])
    said = capsys.readouterr()
    assert "pytest" in said.out + said.err
    made = tmp_path / "my_metric"
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "tests"],
        cwd=made,
        env={"PYTHONPATH": str(made), "PATH": "", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert " passed" in ran.stdout


def test_the_new_package_announces_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main_ok(["new", "plugin", "my_metric", "--in", str(tmp_path)])
    text = (tmp_path / "my_metric" / "pyproject.toml").read_text()
    assert 'my_metric = "numgeom_my_metric"' in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["new", "plugin", "My-Metric"], "must be small letters, digits and underscores"),
        (["new", "suite", "mine"], "plugin"),
        (["new", "plugin", "taken"], "is there already"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(SystemExit) as left:
        main([*arguments, "--in", str(tmp_path)])
    said = capsys.readouterr().err
    assert left.value.code == 2
    assert message in said
    assert said.count("\n") == 1


def main_ok(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code in (0, None)

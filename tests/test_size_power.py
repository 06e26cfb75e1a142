"""The benchmark of size and power, small: its cells are what they say, and the default calibration holds in them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

# Caveats of the drawn rows are no errors of the code.
pytestmark = pytest.mark.filterwarnings("ignore::numgeom.errors.MeasurementWarning")


@pytest.fixture(scope="module")
def bench() -> Any:
    path = Path(__file__).resolve().parents[1] / "benchmarks" / "size_power.py"
    spec = importlib.util.spec_from_file_location("size_power", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["size_power"] = module
    spec.loader.exec_module(module)
    return module


def test_kernels_are_those_of_the_curves(bench: Any) -> None:
    numbers = np.arange(300)
    for curve in (*bench.CURVES, *bench.HARD, *bench.OTHERS):
        plain, coded = (
            bench.kernel(bench.Cell("drawn", curve, 4.0, 300, 0, 1024, planted), numbers)
            for planted in ("nothing", "mod10")
        )
        # Unit mean energy of the curve, 1 / SNR of noise, amplitude^2 of the code.
        assert np.trace(plain) / 300 == pytest.approx(1.25, rel=1e-6)
        assert np.trace(coded - plain) / 300 == pytest.approx(0.0625)
        assert np.linalg.eigvalsh(plain).min() > 0
    # Walks along n, correlations .97 to the distance, walks along log(n + 1).
    noise = np.eye(300) / 4.0
    walk = bench.kernel(bench.Cell("drawn", "walk", 4.0, 300, 0, 1024, "nothing"), numbers) - noise
    apart = np.diagonal(walk)[:, None] + np.diagonal(walk)[None, :] - 2 * walk
    np.testing.assert_allclose(apart / apart[0, 1], np.abs(numbers[:, None] - numbers[None, :]), atol=1e-8)
    cell = bench.Cell("drawn", "logwalk", 4.0, 300, 0, 1024, "nothing")
    root = np.linalg.cholesky(bench.kernel(cell, numbers))
    steps = np.diff(bench.draw(cell, root, numbers, np.random.default_rng(0)).matrix, axis=0)
    early, late = (np.square(part).sum(axis=1).mean() for part in (steps[:3], steps[-100:]))
    assert early > 1.3 * late


def test_a_narrow_draw_stands_for_its_width(bench: Any) -> None:
    cell = bench.Cell("drawn", "walk", 0.5, 60, 0, 4096, "nothing")
    root, rng = np.linalg.cholesky(bench.kernel(cell, np.arange(60))), np.random.default_rng(1)
    grams = np.array([(m := bench.draw(cell, root, np.arange(60), rng).matrix) @ m.T for _ in range(60)])
    assert m.shape == (60, 60)
    np.testing.assert_allclose(grams.mean(axis=0), bench.kernel(cell, np.arange(60)), atol=0.1)


@pytest.mark.parametrize("group", ["moments", "drawn"])
def test_every_metric_has_its_size_on_sets_with_gaps(bench: Any, monkeypatch: pytest.MonkeyPatch, group: str) -> None:
    monkeypatch.setattr(bench, "BATCH", 10)
    found = [bench.run(bench.Cell(group, curve, 4.0, 100, 1, 1024, "nothing"), 0)[2] for curve in ("walk", "logwalk")]
    for name in bench.GROUPS[group]:
        # At level .05 twenty true nulls reject five times or more once in 390 runs; the larger of several p less often.
        assert sum(one[name].pairs for one in found) == 20
        assert sum(one[name].rejected for one in found) <= 4


@pytest.mark.parametrize("planted", ["mod10", "helix"])
def test_a_shared_code_is_found_at_the_width_of_real_models(
    bench: Any, monkeypatch: pytest.MonkeyPatch, planted: str
) -> None:
    monkeypatch.setattr(bench, "BATCH", 8)
    for finding in bench.run(bench.Cell("moments", "ar1", 4.0, 300, 0, 1024, planted), 0)[2].values():
        assert finding.earned == finding.pairs == 8


@pytest.mark.parametrize("planted", ["nothing", "mod10"])
@pytest.mark.parametrize("name", ["knn", "procrustes", "rsa"])
def test_a_test_that_ends_early_decides_as_the_whole_one(bench: Any, name: str, planted: str) -> None:
    cell = bench.Cell("drawn", "walk", 4.0, 60, 0, 128, planted)
    root = np.linalg.cholesky(bench.kernel(cell, np.arange(60)))
    for pair in range(6):
        rng = np.random.default_rng([2, pair])
        sides = [bench.draw(cell, root, np.arange(60), rng) for _ in range(2)]
        whole = bench.scored(name, sides, pair)
        for indices in (bench.INDICES, bench.INDICES[::-1]):
            early = bench.tested(name, pair, bench.ViewsOf(sides, indices))
            assert (whole[0] <= 0.05) == (early[0] <= 0.05)
            if early[0] <= 0.05:
                assert early[1] == pytest.approx(whole[1])


def test_a_run_is_continued_and_its_counts_are_added(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "BATCH", 2)
    out = tmp_path / "found.jsonl"
    cell = "group=moments,curve=walk,snr=4,n=100,d=128,planted=nothing"
    for pairs, told in ((2, "1 batches to run, 0 in"), (4, "1 batches to run, 1 in"), (4, "0 batches to run, 2 in")):
        monkeypatch.setattr(sys, "argv", ["size_power.py", "--pairs", str(pairs), "--cells", cell, "--out", str(out)])
        bench.main()
        said = capsys.readouterr().out
        assert told in said
    held = {name: value for (name, _), value in bench.counts(bench.read(out), "rejected").items()}
    assert {pairs for _, pairs in held.values()} == {4}
    assert f"| walk | 4 | 100 (gaps) | 128 | {held['cka_debiased'][0]}/4 (" in said


def test_intervals_are_those_of_clopper_and_pearson(bench: Any) -> None:
    assert bench.entry((10, 200)) == "10/200 (.024 to .090)"
    assert bench.entry((0, 20)) == "0/20 (.000 to .168)"
    assert bench.entry((20, 20)) == "20/20 (.832 to 1)"
    assert bench.entry(None) == "-"

"""Jackknife intervals cover what they should, and are refused where there is nothing to replicate."""

from __future__ import annotations

import numpy as np
import pytest

import numgeom
from numgeom.intervals import jackknife_intervals
from numgeom.registry import open_catalog
from numgeom.representation import Representation
from numgeom.targets import make_metric


def intervals(name: str, *clouds: np.ndarray) -> list[tuple[float, float] | None]:
    spec = open_catalog().convergence.get(name)
    reps = [Representation(cloud, np.arange(len(cloud))) for cloud in clouds]
    metric = make_metric(spec, {})
    score = metric.score(*map(metric.prepare, reps))
    return jackknife_intervals(metric, spec.range, reps, [(0, 1)], [score])


def test_an_exact_copy_has_an_interval_of_no_width() -> None:
    rows = np.random.default_rng(0).standard_normal((60, 4))
    (found,) = intervals("cka_linear_debiased", rows, rows)
    assert found == pytest.approx((1.0, 1.0))


def test_the_interval_of_a_mean_like_score_is_the_textbook_one() -> None:
    class Mean:
        def prepare(self, rep: Representation) -> np.ndarray:
            return rep.matrix[:, 0]

        def score(self, a: np.ndarray, b: np.ndarray) -> float:
            return float(a.mean())

    values = np.random.default_rng(1).standard_normal(400)
    rep = Representation(values[:, None], np.arange(400))
    (found,) = jackknife_intervals(Mean(), (-np.inf, np.inf), [rep, rep], [(0, 1)], [values.mean()])
    assert found is not None
    # Leaving a block out moves a mean by the block's own mean: the standard error of 20 block means.
    error = values.reshape(20, 20).mean(axis=1).std(ddof=1) / np.sqrt(20)
    assert found[1] - found[0] == pytest.approx(2 * 2.0930 * error, rel=1e-3)


def test_intervals_cover_the_score_of_the_population() -> None:
    rng = np.random.default_rng(2)
    mixing = rng.standard_normal((3, 6)), rng.standard_normal((3, 8))

    def clouds(n: int) -> list[np.ndarray]:
        latent = rng.standard_normal((n, 3))
        return [latent @ one + 1.5 * rng.standard_normal((n, one.shape[1])) for one in mixing]

    spec = open_catalog().convergence.get("cka_linear_debiased")
    metric = make_metric(spec, {})
    big = [metric.prepare(Representation(cloud, np.arange(4000))) for cloud in clouds(4000)]
    truth = metric.score(*big)
    found = [intervals("cka_linear_debiased", *clouds(200))[0] for _ in range(60)]
    covered = sum(low <= truth <= high for low, high in (one for one in found if one is not None))
    assert 50 <= covered <= 60


def test_intervals_stay_within_the_range_and_need_forty_numbers() -> None:
    rng = np.random.default_rng(3)
    (found,) = intervals("cka_linear", rng.standard_normal((50, 30)), rng.standard_normal((50, 30)))
    assert found is not None
    assert 0.0 <= found[0] < found[1] <= 1.0
    assert intervals("cka_linear", rng.standard_normal((39, 3)), rng.standard_normal((39, 3))) == [None]


def test_every_scored_row_of_a_study_carries_its_interval() -> None:
    study = numgeom.compare(
        ["synthetic:helix", "synthetic:walk"], metrics="cka_linear_debiased", numbers="0..99", draws=19, cache=False
    )
    assert (study.frame["lo"] < study.frame["value"]).all()
    assert (study.frame["value"] < study.frame["hi"]).all()

"""What an instrument could have seen: the smallest planted signal that a metric finds beside a null.

An absent effect is a finding only if these numbers, widths and noise could have shown it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from numgeom.arrays import score
from numgeom.calibrate import ALPHA, passes
from numgeom.errors import Incompatible, NumgeomError, UnknownName
from numgeom.registry import open_catalog
from numgeom.representation import Representation
from numgeom.seeds import generator
from numgeom.targets import NullView, null_views

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Plant = Callable[[I64, np.random.Generator, int], F64]

POWER = 0.8
AMPLITUDES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.8)
LATENT = 10


@dataclass(frozen=True, slots=True, eq=False)
class Power:
    """How often a planted signal was found.

    Attributes
    ----------
    metric, null, plant : str
    n : int
        How many numbers.
    table : DataFrame
        A row an amplitude: ``amplitude``, ``pairs``, ``detected`` (p at most .05), ``power``, ``low`` and ``high`` (its
        exact 95 % interval, Clopper & Pearson), ``earned`` (detected with an excess of at least .05, as a verdict
        asks), ``mean_value`` and ``mean_excess``.
    smallest : float or None
        The smallest amplitude from which on the power is at least .8; None where no amplitude tried reaches it.
    """

    metric: str
    null: str
    plant: str
    n: int
    table: pd.DataFrame
    smallest: float | None


def power(
    metric: str,
    rep_a: Representation,
    rep_b: Representation,
    *,
    plant: str = "digits",
    period: int = 10,
    null: str = "order_modes",
    amplitudes: Sequence[float] = AMPLITUDES,
    pairs: int = 40,
    draws: int = 39,
    carrier: str = "smooth_surrogate",
    seed: int = 0,
) -> Power:
    """Plant a signal into surrogates of two models and count how often the metric finds it beside the null.

    A surrogate of each model, of its n, d and lag profile and independent of the other, carries the same signal in
    directions of its own:

    - ``circle``: the angle of n modulo ``period``;
    - ``digits``: one random direction for each digit at each decimal place;
    - ``latent``: ten random coordinates a number, without any pattern in n, the same for both models.

    Parameters
    ----------
    metric : str
        As in ``numgeom list metrics``, with parameters in parentheses.
    rep_a, rep_b : Representation
        On the same numbers.
    plant : {"digits", "circle", "latent"}
        Order modes are nearly blind to a lone circle, whose two waves fall on few modes.
    period : int
        Of the circle.
    null : str
    amplitudes : sequence of float
        Root mean square length of the signal over that of the centred carrier; 0 gives the size of the test.
    pairs : int
        Pairs of carriers an amplitude; the same carriers at each.
    draws : int
        Draws of the null, at least 19.
    carrier : str
        The null that draws the surrogates. Where the rows look like no smooth curve,
        ``"order_modes(q=0, bases=n)"`` keeps the power of all their modes.
    seed : int

    Returns
    -------
    Power

    Raises
    ------
    Incompatible
        If metric, null or carrier do not apply to these representations.
    NumgeomError
        If an argument is out of range.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> a, b = (Representation(rng.standard_normal((60, 200)).cumsum(axis=0), np.arange(60)) for _ in range(2))
    >>> found = power("cka_linear_debiased", a, b, amplitudes=[0.0, 0.8], pairs=5, draws=19)
    >>> found.table["power"].tolist()[-1], found.smallest
    (1.0, 0.8)
    """
    _check(plant, period, amplitudes, pairs, draws)
    if not np.array_equal(rep_a.numbers, rep_b.numbers):
        raise Incompatible("both sides need the same numbers; restrict both to those they share.")
    views = [_carrier(carrier, rep) for rep in (rep_a, rep_b)]
    tries: dict[float, list[tuple[float, float, float]]] = {float(amplitude): [] for amplitude in sorted(amplitudes)}
    for pair in range(pairs):
        rngs = [generator(seed, f"power {side}", rep_a.numbers, pair) for side in "abs"]
        carried = [view.draw(rng) for view, rng in zip(views, rngs[:2], strict=True)]
        shared = PLANTS[plant](rep_a.numbers, rngs[2], period)
        signals = [_turned(shared, side, rng) for side, rng in zip(carried, rngs[:2], strict=True)]
        for amplitude, found in tries.items():
            sides = [
                side.with_matrix(side.matrix + amplitude * signal)
                for side, signal in zip(carried, signals, strict=True)
            ]
            held = next(iter(score(metric, *sides, nulls=null, draws=draws, seed=pair).nulls.values()))
            found.append((held.p, held.excess, held.value))
    table = pd.DataFrame([_row(amplitude, found) for amplitude, found in tries.items()])
    return Power(metric, null, plant, rep_a.n, table, _smallest(table))


def _check(plant: str, period: int, amplitudes: Sequence[float], pairs: int, draws: int) -> None:
    if plant not in PLANTS:
        raise UnknownName("planted signal", plant, PLANTS)
    if not len(amplitudes) or not all(np.isfinite(one) and one >= 0 for one in amplitudes):
        raise NumgeomError("amplitudes must be numbers from 0, such as 0,0.1,0.2,0.5.")
    if pairs < 1 or draws < 19 or period < 2:
        raise NumgeomError(
            f"power needs at least 1 pair, 19 draws (or no p reaches .05) and a period of 2; got pairs={pairs}, "
            f"draws={draws}, period={period}."
        )


def _carrier(name: str, rep: Representation) -> NullView:
    choice = open_catalog().nulls.choose(name)
    if choice.spec.permutes_rows:
        raise Incompatible(f"{name} keeps the rows and carries no signal of its own; use carrier='smooth_surrogate'.")
    try:
        return null_views(choice.spec, choice.params, rep)[0]
    except Incompatible as error:
        raise Incompatible(f"{error} As a carrier: order_modes(q=0, bases=n) keeps the power of every mode.") from error


def _circle(numbers: I64, rng: np.random.Generator, period: int) -> F64:
    angle = 2.0 * np.pi * numbers / period
    return np.column_stack([np.cos(angle), np.sin(angle)])


def _digits(numbers: I64, rng: np.random.Generator, period: int) -> F64:
    """Indicators of every digit at every place."""
    places = 10 ** np.arange(len(str(int(np.abs(numbers).max()))))
    digits = np.abs(numbers)[:, None] // places % 10
    return np.asarray((digits[:, :, None] == np.arange(10)).reshape(len(numbers), -1), dtype=np.float64)


def _latent(numbers: I64, rng: np.random.Generator, period: int) -> F64:
    return rng.standard_normal((len(numbers), LATENT))


PLANTS: dict[str, Plant] = {"circle": _circle, "digits": _digits, "latent": _latent}


def _turned(shared: F64, carrier: Representation, rng: np.random.Generator) -> F64:
    """The signal in random directions of the carrier's space, at its root mean square length."""
    rows = shared @ rng.standard_normal((shared.shape[1], carrier.d))
    rows -= rows.mean(axis=0)
    size = np.linalg.norm(rows)
    if size == 0:
        raise Incompatible("the planted signal is the same for all these numbers; give other numbers or another plant.")
    return np.asarray(rows * (np.sqrt(carrier.workspace.energy) / size), dtype=np.float64)


def _row(amplitude: float, found: Sequence[tuple[float, float, float]]) -> dict[str, float]:
    from scipy.stats import binomtest

    detected = sum(p <= ALPHA for p, _, _ in found)
    between = binomtest(detected, len(found)).proportion_ci(method="exact")
    return {
        "amplitude": amplitude,
        "pairs": len(found),
        "detected": detected,
        "power": detected / len(found),
        "low": float(between.low),
        "high": float(between.high),
        "earned": sum(passes(p, excess) for p, excess, _ in found),
        "mean_value": float(np.mean([value for _, _, value in found])),
        "mean_excess": float(np.mean([excess for _, excess, _ in found])),
    }


def _smallest(table: pd.DataFrame) -> float | None:
    """The first amplitude above 0 from which on all have the power."""
    reached = None
    for amplitude, share in zip(table["amplitude"][::-1], table["power"][::-1], strict=True):
        if share < POWER or amplitude == 0:
            break
        reached = float(amplitude)
    return reached

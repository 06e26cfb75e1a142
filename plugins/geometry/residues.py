"""Linear probes for n mod T: what a row says of the residue of its number, held against smoothness and memory."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from numgeom import Incompatible, MeasurementWarning, Representation
from numgeom_plugins.geometry.hold_out import (
    Ridge,
    Task,
    answers,
    block_folds,
    in_rows,
    kappa,
    modes,
    of_columns,
    random_folds,
    ridge,
)
from numgeom_plugins.geometry.lines import frequency
from numgeom_plugins.geometry.logistic import logistic_decisions
from numgeom_plugins.geometry.numerals import magnitude_design, one_hot
from numgeom_plugins.geometry.row_order import RowOrderMetric

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

PERIODS = (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13)
# Those that have control tasks, and probes on rank and magnitude alone.
SHOWN = (2, 5, 10)
SPLITS = ("random", "block")
FOLDS = 5
# Folds with as many of each residue mod 10 in each have as many of each mod 5: one partition, solved once.
FINEST = {2: 8, 3: 9, 4: 8, 5: 10}
# Numbers that agree in their last two digits are one type of the control task.
TYPES = 100
CLASSIFIERS = ("ridge", "logistic")
NEGATIVE = -0.03


@dataclass(frozen=True, eq=False)
class _State:
    source: Ridge | F64
    labels: dict[int, I64]
    control: dict[int, I64]
    tasks: list[Task]
    without_rows: dict[str, float]


class ModularProbe(RowOrderMetric[_State]):
    r"""Cohen's kappa of a linear probe for n mod T, T = 2 .. 10 and the controls 11 and 13, on held-out numbers.

    ``kappa = (p_o - p_e) / (1 - p_e)`` with p_o the share of right answers and p_e that of answers dealt out at
    random in the same proportions: 1 is perfect, 0 is chance, at least -1. Times 100 it compares with Fu et al.

    - ``random_T``: 5 folds drawn at random, as many of each residue in every fold. **Not 0 for a smooth curve**: the
      neighbours of a held-out number vote for other residues, so that a random walk scores -.5 at T = 2 and -.1 at 10;
    - ``block_T``: 5 blocks of successive numbers; 0 for smooth curves;
    - ``selectivity_T`` (T = 2, 5, 10): ``random_T`` minus the kappa of a control task (Hewitt & Liang), in which every
      type of number, its last two digits, has a residue dealt out at random. A probe that only knows types by heart
      scores 0 here;
    - ``rank_T``, ``magnitude_T`` (T = 2, 5, 10): ``random_T`` of a probe on the log merge rank and its square alone
      (left out where the token ids give none), and on n and log n alone.

    The probe is ridge regression of the residue's indicators on the centred rows, its answer the largest prediction
    above the mean. It needs no reduction: rows of any width cost the same, and the penalty is one of eight, chosen by
    generalised cross-validation. Residues strung along one axis mask one another in such a regression (Hastie,
    Tibshirani & Friedman 2009, section 4.2); those that have a direction each, or lie on a circle, do not. A period
    needs 5 numbers of every residue.

    Parameters
    ----------
    components : int
        0 for the rows as they are; r > 0 for a random projection to r dimensions first (the same isotropic Gaussian
        map for all row orders), so that models of different widths are compared at equal dimension.
    classifier : {"ridge", "logistic"}
        ``"logistic"``: L2 multinomial logistic regression on standardised columns, its strength chosen by inner
        cross-validation. Minutes instead of a tenth of a second, not invariant to rotations, and not meant for draws.
    seed : int
        Of folds, control task and projection.

    Warns
    -----
    MeasurementWarning
        W-NEGKAPPA where a ``random_T`` lies below -.03 and by more than three standard errors of chance,
        ``1 / sqrt(n (T - 1))``: hold it against ``block_T`` or a smooth surrogate, not against 0.

    References
    ----------
    Fu et al. 2026, arXiv:2604.20817 (their split and penalty are not known to us); Cohen 1960; Hewitt & Liang 2019,
    arXiv:1909.03368 (control tasks; types of last two digits are ours).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> rows = np.eye(5)[np.arange(200) % 5] + 0.1 * rng.standard_normal((200, 5))
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", MeasurementWarning)
    ...     found = ModularProbe()(Representation(rows, np.arange(200)))
    >>> found["random_5"], found["block_5"], abs(found["random_7"]) < 0.2
    (1.0, 1.0, True)
    """

    def __init__(self, components: int = 0, classifier: str = "ridge", seed: int = 0) -> None:
        if classifier not in CLASSIFIERS:
            raise Incompatible(
                f"modular_probe has the classifiers {' and '.join(CLASSIFIERS)}, not {classifier!r}; "
                "type classifier=ridge."
            )
        if components < 0:
            raise Incompatible(f"modular_probe: components={components} must be 0 (no projection) or more.")
        self.components = components
        self.classifier = classifier
        self.seed = seed

    def __call__(self, rep: Representation) -> dict[str, float]:
        """The kappas of one representation.

        Parameters
        ----------
        rep : Representation
            At least 20 numbers.

        Returns
        -------
        dict of str to float

        Raises
        ------
        Incompatible
            If all rows are equal, or no period has 5 numbers of every residue.
        """
        found = super().__call__(rep)
        low = [t for t in PERIODS if found.get(f"random_{t}", 0.0) < min(NEGATIVE, -3.0 / np.sqrt(rep.n * (t - 1)))]
        if low:
            text = (
                f"kappa below chance at T = {', '.join(map(str, low))} under random folds: neighbours vote for other "
            )
            warnings.warn(MeasurementWarning("W-NEGKAPPA", text + "residues; read block_T instead"), stacklevel=2)
        return found

    def prepare(self, rep: Representation) -> _State:
        """The engine, the residues with their folds and control tasks, and the probes that see no rows."""
        left, powers = modes(rep, "modular_probe")
        residues = {t: rep.numbers % t for t in PERIODS}
        labels = {t: one for t, one in residues.items() if np.bincount(one, minlength=t).min() >= FOLDS}
        if not labels:
            raise Incompatible(
                f"modular_probe needs {FOLDS} numbers of every residue, and these {rep.n} have too few even for T = 2; "
                "give more consecutive numbers with --numbers."
            )
        finest = {t: random_folds(rep.numbers % t, FOLDS, self.seed) for t in {FINEST.get(t, t) for t in labels}}
        random = {t: finest[FINEST.get(t, t)] for t in labels}
        rng = np.random.default_rng(self.seed)
        control = {t: _dealt(rep.numbers % TYPES, t, rng) for t in SHOWN if t in labels}
        blocks = block_folds(rep.n, FOLDS)
        tasks = []
        for t, one in labels.items():
            parts = [one_hot(one), one_hot(control[t])] if t in control else [one_hot(one)]
            tasks.append(Task(np.hstack(parts), (random[t], blocks), t))
        known = {"magnitude": magnitude_design(rep.numbers)[:, 1:]}
        rank = frequency(rep)
        if rank is not None:
            known["rank"] = np.column_stack([rank, rank**2])
        without_rows = {}
        for name, columns in known.items():
            for t in (t for t in SHOWN if t in labels):
                task = Task(one_hot(labels[t]), (random[t],))
                ((held,),) = answers(of_columns(columns), [task], np.arange(rep.n))
                without_rows[f"{name}_{t}"] = kappa(labels[t], _largest(*held))
        source: Ridge | F64
        if self.classifier == "logistic" and not self.components:
            source = rep.matrix.astype(np.float64)
        elif self.components:
            source = (left * np.sqrt(powers)) @ left.T
        else:
            source = ridge(rep, "modular_probe")
        return _State(source, labels, control, tasks, without_rows)

    def measure(self, state: _State, order: I64) -> dict[str, float]:
        """The values when row ``order[i]`` belongs to number i."""
        labels = state.labels
        rows = state.source
        if self.components and not isinstance(rows, Ridge):
            # Columns of the symmetric root are the cloud in some axes: its Gaussian mixtures are a random projection.
            mixture = np.random.default_rng(self.seed).standard_normal((len(order), self.components))
            rows = rows @ in_rows(mixture, order)
        found: dict[str, float] = {}
        if self.classifier == "logistic" and not isinstance(rows, Ridge):
            placed = rows[order]
            for (t, one), task in zip(labels.items(), state.tasks, strict=True):
                for name, folds in zip(SPLITS, task.folds, strict=True):
                    found[f"{name}_{t}"] = kappa(one, logistic_decisions(placed, one, folds))
                if t in state.control:
                    memory = logistic_decisions(placed, state.control[t], task.folds[0])
                    found[f"selectivity_{t}"] = found[f"random_{t}"] - kappa(state.control[t], memory)
        else:
            engine = rows if isinstance(rows, Ridge) else Ridge.of_rows(rows)
            for (t, one), tried in zip(labels.items(), answers(engine, state.tasks, order), strict=True):
                for name, (predicted, mean) in zip(SPLITS, tried, strict=True):
                    found[f"{name}_{t}"] = kappa(one, _largest(predicted[:, :t], mean[:, :t]))
                if t in state.control:
                    memory = _largest(*(part[:, t:] for part in tried[0]))
                    found[f"selectivity_{t}"] = found[f"random_{t}"] - kappa(state.control[t], memory)
        return found | state.without_rows


def _largest(predicted: F64, mean: F64) -> I64:
    """The class whose indicator is predicted farthest above its mean: all residues count alike."""
    return np.asarray((predicted - mean).argmax(axis=1), dtype=np.int64)


def _dealt(types: I64, period: int, rng: np.random.Generator) -> I64:
    """A residue for every type, dealt out evenly at random."""
    kinds, of = np.unique(types, return_inverse=True)
    return np.asarray(rng.permutation(np.arange(len(kinds)) % period)[of], dtype=np.int64)

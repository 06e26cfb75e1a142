"""What token frequency alone would give: curves along the logarithm of the merge rank, or of counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from numgeom import Incompatible, Representation
from numgeom.preprocess import log_frequency
from numgeom_plugins.nulls.smooth import Profile, SmoothView, fit


class FrequencyOnly:
    """Curves of independent Gaussian columns along the log frequency of the numbers, and nothing else of the rows.

    As :class:`~numgeom_plugins.nulls.smooth.SmoothSurrogate`, with the numbers at their log frequency in place of
    their value: numbers written equally often lie close together, whatever they are. Rows that depend on frequency
    alone are imitated; of all others only the part that frequency explains is kept, and the rest becomes white
    noise of the same energy. What a pair scores with one side replaced is what it inherits from how often each
    number is written, as far as the other side follows that too. It is an effect size, not a test: a fitted kernel
    has no exact size.

    Parameters
    ----------
    counts : path
        A file with one NUMBER,COUNT a line. Without it the frequency is read from the token ids, which are a merge
        rank in the vocabularies of BPE.

    References
    ----------
    Fu, Zhou, Belkin, Sharan & Jia 2026, arXiv:2604.20817 (token frequency as the control of Fourier spikes).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> rank = rng.permutation(60)
    >>> along = rng.standard_normal((60, 100)).cumsum(axis=0)[rank]
    >>> view = FrequencyOnly().views(Representation(along, np.arange(60), token_ids=200 + 10 * rank))[0]
    >>> view.smooth_share > 0.9
    True
    """

    def __init__(self, counts: str = "") -> None:
        self.counts = counts

    def views(self, rep: Representation) -> Sequence[SmoothView]:
        """The one view.

        Parameters
        ----------
        rep : Representation
            With token ids, unless counts are given.

        Returns
        -------
        sequence of SmoothView

        Raises
        ------
        Incompatible
            If there are fewer than 10 numbers, nothing is known of their frequency, all have the same, or the rows
            do not vary.
        """
        return [rep.memo(f"nulls.frequency.{self.counts}", lambda: self._view(rep))]

    def _view(self, rep: Representation) -> SmoothView:
        if rep.n < 10:
            raise Incompatible(f"frequency_only needs at least 10 numbers; these are {rep.n}.")
        energy = rep.workspace.energy
        if energy <= 1e-30 * float(np.square(rep.matrix, dtype=np.float64).sum()):
            raise Incompatible(f"all {rep.n} rows are equal, so there is no curve to imitate.")
        r = log_frequency(rep, self.counts)
        apart = np.abs(r[:, None] - r[None, :])
        # Ranks may nearly coincide by accident: nothing is told apart below half of the usual distance to a neighbour.
        shortest = float(np.median(np.diff(np.sort(r)))) / 2.0 or float(apart.max()) / rep.n
        if not shortest > 0:
            raise Incompatible("all these numbers have one frequency, so frequency_only has nothing to follow.")
        kernel, share, covariance = fit(Profile(apart, shortest), apart, rep.workspace.gram, shortest)
        return SmoothView.of(rep, kernel, share, covariance)

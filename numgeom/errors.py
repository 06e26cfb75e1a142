"""Errors that a user can cause, and the warnings that a measurement can attach to its row.

Every message is one line: what is wrong, where, what is allowed, what to type next.
The command line prints a :class:`NumgeomError` as that line and exits with 2;
any other exception is a bug and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class NumgeomError(Exception):
    """Base of everything that a user can cause and can mend."""


class PluginError(NumgeomError):
    """A plugin could not be loaded, or announced something invalid."""


class RegistryError(NumgeomError):
    """A registry.toml file, or an option that stands for one, is wrong."""


class NumberSetError(NumgeomError):
    """A number set is written wrongly or is too small."""


class SourceError(NumgeomError):
    """A model's files cannot be read."""


class TokenizerError(NumgeomError):
    """A tokenizer is missing, unreadable, or does not know a number."""


class Incompatible(NumgeomError):
    """A measurement does not apply to this input: its row is ``skipped``, with this reason."""


class UnknownName(NumgeomError):
    """A name that nothing provides; the message lists what is allowed.

    Parameters
    ----------
    what : str
        The kind of thing looked up, such as ``"convergence metric"``.
    name : str
        The name that was asked for.
    allowed : iterable of str
        The names that exist.
    hint : str, optional
        What to type to learn more.
    """

    def __init__(self, what: str, name: str, allowed: Iterable[str], hint: str = "") -> None:
        names = sorted(allowed)
        close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        meant = f"; did you mean {close[0]!r}?" if close else "."
        listed = ", ".join(names[:24]) + (", ..." if len(names) > 24 else "")
        tail = f" Allowed: {listed or '(none)'}." + (f" {hint}" if hint else "")
        super().__init__(f"unknown {what} {name!r}{meant}{tail}")


class MeasurementWarning(UserWarning):
    """A caveat that belongs into the ``warnings`` column of the row being measured.

    Parameters
    ----------
    code : str
        One of the codes of the warning catalogue, such as ``"W-DUP"``.
    text : str
        One line saying what it means for this row.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warnings.warn(MeasurementWarning("W-DUP", "3 duplicate rows"))
    >>> str(caught[0].message)
    'W-DUP: 3 duplicate rows'
    """

    def __init__(self, code: str, text: str) -> None:
        self.code = code
        self.text = text
        super().__init__(f"{code}: {text}")


WARNING_CODES = {
    "W-N-LT-D": "no more numbers than dimensions, where this metric saturates; use a debiased one",
    "W-RANK": "fewer effective dimensions than components asked for",
    "W-DUP": "duplicate rows inflate neighbour and alignment scores",
    "W-TIED": "the output embedding is the input embedding: not a second source",
    "W-BIN": "the period does not divide the number of numbers: spectral leakage",
    "W-GAPS": "the numbers have gaps",
    "W-FREQ": "no frequency control: a spike may be inherited from token frequency",
    "W-ORDER": "not shown to be beyond order (p > .05 or excess < .05): order may be all there is",
    "W-ARCH": "an arch is what smoothness alone draws: the curve is no finding",
    "W-NEGKAPPA": "negative kappa under random cross-validation is a smoothness artefact",
    "W-MULT": "a maximum over columns or layers without a max-statistic null",
    "W-AUTOCORR": "few effective observations: the p-value ignores autocorrelation",
    "W-BOOT": "bootstrap with replacement does not suit neighbour and distance metrics",
    "W-TOKENFORM": "token forms are mixed, or a dummy prefix is in play",
    "W-POOLED": "rows are put together from shared pieces: two models agree in how numbers are written, trained or not",
    "W-UNTRAINED": "some tokens look untrained",
    "W-CLIP": "a neighbourhood parameter was lowered to what the number of rows allows",
    "W-PARTS": "the neighbour graph fell into parts: distances between them mean little; raise the neighbours",
    "W-SEED": "a stochastic result of a single seed",
    "W-DTYPE": "linear algebra in half precision",
    "W-ANISO": "the mean vector holds over 30 % of the energy, and raw cosines feel it",
    "W-LABEL-LEAK": "the reducer saw the numbers: no discovery",
    "W-FAMILY": "the pair shares tokenizer, family or run: not independent evidence",
}

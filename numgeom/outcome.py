"""What one measurement came to, and how exceptions and caveats of plugin code become part of it."""

from __future__ import annotations

import base64
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from numgeom.calibrate import Calibration
from numgeom.errors import WARNING_CODES, Incompatible, MeasurementWarning, NumgeomError


@dataclass(slots=True)
class Outcome:
    """One measured number of a cell, or the reason why there is none.

    Attributes
    ----------
    measure : str
        Which number of the metric; ``"score"`` where it gives a single one.
    value : float or None
    draws : int
    null_value : float or None
        What was held against the null: the value itself, unless the null scores a projection.
    null_mean, null_sd, excess, z, p, calibrated : float or None
    lo, hi : float or None
        95 % interval of the value over numbers.
    status : {"ok", "skipped", "error"}
    reason : str
    warnings : list of str
        Codes.
    """

    measure: str = ""
    value: float | None = None
    draws: int = 0
    null_value: float | None = None
    null_mean: float | None = None
    null_sd: float | None = None
    excess: float | None = None
    z: float | None = None
    p: float | None = None
    calibrated: float | None = None
    lo: float | None = None
    hi: float | None = None
    status: str = "ok"
    reason: str = ""
    warnings: list[str] = field(default_factory=list)

    def hold_against(self, calibration: Calibration, null_value: float, draws: int) -> None:
        """Enter a calibration; quantities that do not exist (z of a null without spread) stay empty."""
        self.draws = draws
        self.null_value = finite(null_value)
        self.null_mean = finite(calibration.mean)
        self.null_sd = finite(calibration.sd)
        self.excess = finite(calibration.excess)
        self.z = finite(calibration.z)
        self.p = finite(calibration.p)
        self.calibrated = finite(calibration.calibrated)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for the cache."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Outcome:
        """Back from the cache."""
        return cls(**{item.name: data[item.name] for item in fields(cls)})


def pack(values: npt.NDArray[np.float64]) -> str:
    """Floats as text, exactly: for entries of the cache.

    Examples
    --------
    >>> unpack(pack(np.array([0.1, 2.0]))).tolist()
    [0.1, 2.0]
    """
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f8").tobytes()).decode()


def unpack(text: str) -> npt.NDArray[np.float64]:
    """Back from :func:`pack`."""
    return np.frombuffer(base64.b64decode(text), dtype="<f8").astype(np.float64)


def finite(value: float) -> float | None:
    """The value as a Python float, or None if it is not finite."""
    return float(value) if np.isfinite(value) else None


def failure(error: BaseException, plugin: str = "") -> Outcome:
    """The row of a measurement that raised: ``skipped`` where it does not apply, ``error`` otherwise."""
    if isinstance(error, Incompatible):
        return refused("skipped", str(error))
    if isinstance(error, NumgeomError):
        return refused("error", str(error))
    owner = f" (in plugin {plugin!r})" if plugin else ""
    return refused("error", f"{type(error).__name__}: {error}{owner}")


def refused(status: str, reason: str) -> Outcome:
    """The row of what was not measured; codes that the reason names are among its warnings."""
    codes = [code for code in WARNING_CODES if re.search(rf"\b{code}\b", reason)]
    return Outcome(status=status, reason=one_line(reason), warnings=codes)


def one_line(text: str) -> str:
    """Text with its white space folded."""
    return " ".join(text.split())


@contextmanager
def caveats(codes: list[str]) -> Iterator[None]:
    """Collect the codes of measurement warnings into ``codes``; other warnings are passed on."""
    others = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            for item in caught:
                if not isinstance(item.message, MeasurementWarning):
                    others.append(item)
                elif item.message.code not in codes:
                    codes.append(item.message.code)
    for item in others:
        warnings.warn_explicit(item.message, item.category, item.filename, item.lineno)

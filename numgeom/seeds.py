"""Random generators that depend on what is drawn, never on the order of work."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt


def generator(seed: int, label: str, numbers: npt.NDArray[np.int64], draw: int = 0) -> np.random.Generator:
    """The generator of draw ``draw`` of the null ``label`` on a number set.

    It does not depend on the models: adding one to a study leaves the draws of the others as they were.

    Examples
    --------
    >>> one = generator(0, "iid", np.arange(4), 2).integers(1000)
    >>> one == generator(0, "iid", np.arange(4), 2).integers(1000)
    np.True_
    """
    entropy = hashlib.blake2b(label.encode() + numbers.tobytes(), digest_size=8).digest()
    return np.random.default_rng([seed, int.from_bytes(entropy, "big"), draw])


def generators(seed: int, label: str, numbers: npt.NDArray[np.int64], draws: int) -> list[np.random.Generator]:
    """The generators of draws ``0 .. draws - 1``."""
    return [generator(seed, label, numbers, draw) for draw in range(draws)]

"""What requests to a server cost, measured by the first of them, and the runs of rows that are then worth asking."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from numgeom_plugins.sources.row_runs import MOST_RUNS, MOST_WASTE, Link, Run, row_runs

HEAD_BYTES = 65_536  # holds the header of a shard; what is beyond costs a second request
FIRST_CONNECTIONS = 16
MOST_CONNECTIONS = 48
# A request keeps this process busy for about so long, and more connections than latency / this gain nothing.
SECONDS_A_REQUEST = 0.001
MOST_RUN_BYTES = 4_000_000


class Meter:
    """The link to one server; shared by the files that lie there.

    Attributes
    ----------
    link : Link or None
        None until enough requests were made.
    """

    def __init__(self) -> None:
        self.link: Link | None = None

    @property
    def connections(self) -> int:
        """How many requests should be under way at once."""
        return self.link.connections if self.link else FIRST_CONNECTIONS

    def note(self, waited: Sequence[float], wall: float, requests: int, count: int) -> None:
        """Learn from some requests.

        Parameters
        ----------
        waited : sequence of float
            Seconds until the first byte of an answer, of some or all of them.
        wall : float
            Seconds that all took together.
        requests : int
        count : int
            Bytes of all answers.

        Examples
        --------
        >>> meter = Meter()
        >>> meter.note([0.05] * 32, wall=0.1 + 0.032 + 0.2, requests=32, count=2_000_000)
        >>> round(meter.link.bandwidth), meter.link.connections
        (10000000, 48)
        """
        # Every connection waits in turn for its answers; what is left of the time went into the bytes.
        idle = math.ceil(requests / self.connections) * min(waited) + requests * SECONDS_A_REQUEST
        latency = statistics.median(waited)
        self.link = Link(
            latency=latency,
            bandwidth=count / max(wall - idle, count / 1e9, 1e-4),
            connections=max(4, min(MOST_CONNECTIONS, int(latency / SECONDS_A_REQUEST))),
            overhead=SECONDS_A_REQUEST,
        )

    def rounds(self, rows: npt.NDArray[np.int64], row_bytes: int) -> Iterator[list[Run]]:
        """Runs of rows to ask for: a few show what the link costs, and that decides about the others.

        Parameters
        ----------
        rows : ndarray of int, shape (k,)
            Strictly increasing.
        row_bytes : int
        """
        longest, waste = max(1, MOST_RUN_BYTES // row_bytes), MOST_WASTE * rows.size
        runs = row_runs(rows, most_gap=0, longest=longest)
        if self.link is None and len(runs) > 4 * FIRST_CONNECTIONS:
            first = runs[: 2 * FIRST_CONNECTIONS]
            yield first
            rows = rows[rows >= first[-1][1]]
        if self.link is not None:
            gap = self.link.break_even / row_bytes
            runs = row_runs(rows, most_gap=gap, longest=longest, most_runs=MOST_RUNS, most_waste=waste)
        yield runs

"""One check of a card, how it is run, and what a run came to."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from numgeom.errors import WARNING_CODES, Incompatible, MeasurementWarning, NumgeomError
from numgeom.outcome import one_line
from numgeom.specs import Spec

STATUSES = ("passed", "failed", "xfailed")


class CheckFailed(AssertionError):
    """What a plugin does is not what its card says; the message says how it was seen."""


@dataclass(frozen=True, slots=True)
class Check:
    """One property that a card declares, or that its kind demands, as something to run.

    Parameters
    ----------
    name : str
        Unique within a card: ``"invariant[orthogonal]"``.
    claim : str
        The declared property or the contract from which it follows: ``"invariant_to: orthogonal"``.
    run : callable
        Without arguments; returns a line on what was looked at, raises :class:`CheckFailed` otherwise.
    spec : Spec
        The card.

    Examples
    --------
    >>> from numgeom import NumberSetSpec
    >>> card = NumberSetSpec(name="tens", summary="tens", target="0..90:10")
    >>> check = Check("parses", "target", lambda: "10 numbers", card)
    >>> check(), check.id
    ('10 numbers', 'tens-parses')
    """

    name: str
    claim: str
    run: Callable[[], str]
    spec: Spec

    @property
    def id(self) -> str:
        """Card and check in one word, as pytest shows it."""
        return f"{self.spec.name}-{self.name}"

    def __call__(self) -> str:
        """Run it.

        Returns
        -------
        str
            What was looked at.

        Raises
        ------
        CheckFailed
            Also where the plugin raised anything, gave a numeric RuntimeWarning, or a caveat with an unknown code.
        """
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                detail = self.run()
            except CheckFailed:
                raise
            except Incompatible as error:
                raise CheckFailed(one_line(f"it refused the clouds of this check: {error}")) from error
            except Exception as error:
                raise CheckFailed(one_line(f"{type(error).__name__}: {error}")) from error
        for item in caught:
            message = item.message
            if isinstance(message, MeasurementWarning):
                require(
                    message.code in WARNING_CODES,
                    f"it warned {message.code!r}, which is not a known code; known: {', '.join(WARNING_CODES)}",
                )
            elif isinstance(message, RuntimeWarning):
                raise CheckFailed(one_line(f"numeric warning in {item.filename}:{item.lineno}: {message}"))
        return detail


@dataclass(frozen=True, slots=True)
class Result:
    """What one check came to.

    Attributes
    ----------
    kind, spec, check, claim : str
    status : {"passed", "failed", "xfailed"}
    detail : str
        What was looked at, how it failed, or the reason why a failure was expected.
    """

    kind: str
    spec: str
    check: str
    claim: str
    status: str
    detail: str


@dataclass(slots=True)
class Report:
    """What the checks of one or several cards came to.

    Attributes
    ----------
    results : list of Result
        In the order of the run.
    unchecked : list of str
        Cards from which no check followed: each is a failure.
    absent : list of str
        Cards left out because a package that they require is not installed, with its name.

    Examples
    --------
    >>> Report().ok, Report().summary
    (False, '0 checks: nothing was checked, which is a failure')
    """

    results: list[Result] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)

    def count(self, status: str) -> int:
        """How many checks are ``"passed"``, ``"failed"`` or ``"xfailed"``."""
        return sum(result.status == status for result in self.results)

    @property
    def failures(self) -> list[Result]:
        """The checks that failed, those that passed although a failure was expected among them."""
        return [result for result in self.results if result.status == "failed"]

    @property
    def ok(self) -> bool:
        """Whether something was checked, of every card, and nothing failed."""
        return bool(self.results) and not self.failures and not self.unchecked

    @property
    def summary(self) -> str:
        """The counts in one line."""
        left = f"; without any check: {', '.join(self.unchecked)}" if self.unchecked else ""
        left += f"; left out: {', '.join(self.absent)}" if self.absent else ""
        if not self.results:
            return f"0 checks: nothing was checked, which is a failure{left}"
        cards, checks = len({(result.kind, result.spec) for result in self.results}), len(self.results)
        counts = ", ".join(f"{self.count(status)} {status}" for status in STATUSES)
        of = f"{checks} check{'s' * (checks != 1)} of {cards} card{'s' * (cards != 1)}"
        return f"{of}: {counts}{left}"

    @property
    def text(self) -> str:
        """A line for each check, then the counts."""
        lines = [
            f"{result.status:8}{result.kind} {result.spec}  {result.check}  <- {result.claim}  ({result.detail})"
            for result in self.results
        ]
        return "\n".join([*lines, self.summary])

    def rows(self, spec: Spec) -> list[dict[str, Any]]:
        """A row for each check of one card."""
        return [
            {
                "status": result.status,
                "name": result.check,
                "follows from": result.claim,
                "detail": result.detail,
            }
            for result in self.results
            if (result.kind, result.spec) == (spec.kind, spec.name)
        ]

    def counts(self) -> list[dict[str, Any]]:
        """A row for each card, with how many of its checks came to what."""
        cards: dict[tuple[str, str], dict[str, Any]] = {}
        for result in self.results:
            start = {"name": result.spec, "kind": result.kind, "checks": 0, **dict.fromkeys(STATUSES, 0)}
            row = cards.setdefault((result.kind, result.spec), start)
            row["checks"] += 1
            row[result.status] += 1
        return list(cards.values())

    def as_dict(self) -> dict[str, Any]:
        """Plain data: counts, and every check with its claim and outcome."""
        return {
            "ok": self.ok,
            **{status: self.count(status) for status in STATUSES},
            "unchecked": list(self.unchecked),
            "absent": list(self.absent),
            "checks": [asdict(result) for result in self.results],
        }

    def extend(self, other: Report) -> None:
        """Take over the results of another report."""
        self.results += other.results
        self.unchecked += other.unchecked
        self.absent += other.absent


def run_all(spec: Spec, checks: Iterable[Check], expected_failures: Mapping[str, str]) -> Report:
    """Run checks; one that is expected to fail and passes is a failure.

    Raises
    ------
    NumgeomError
        If an expected failure has no reason, or names no check of the card.
    """
    report = Report()
    found = list(checks)
    require_reasons(spec, found, expected_failures)
    for check in found:
        reason = expected_failures.get(check.name, "")
        try:
            status, detail = "passed", check()
        except CheckFailed as error:
            status, detail = ("xfailed", f"{reason} ({error})") if reason else ("failed", str(error))
        else:
            if reason:
                status, detail = "failed", f"passed although a failure was expected ({reason}); expect it no longer"
        report.results.append(Result(spec.kind, spec.name, check.name, check.claim, status, detail))
    if not found:
        report.unchecked.append(f"{spec.kind} {spec.name}")
    return report


def require_reasons(spec: Spec, checks: Iterable[Check], expected_failures: Mapping[str, str]) -> None:
    """Refuse an expected failure without a reason, or of a check that does not exist."""
    names = [check.name for check in checks]
    for name, reason in expected_failures.items():
        if name not in names:
            raise NumgeomError(
                f"expected failure {name!r}: {spec.kind} {spec.name!r} has no such check; it has {', '.join(names)}."
            )
        if not reason.strip():
            raise NumgeomError(f"expected failure {name!r} of {spec.kind} {spec.name!r} needs a reason in words.")


def require(condition: bool, problem: str) -> None:
    """Raise :class:`CheckFailed` with ``problem`` unless the condition holds."""
    if not condition:
        raise CheckFailed(one_line(problem))


@contextmanager
def global_generators(seed: int) -> Iterator[None]:
    """The global generators of NumPy and Python at a seed, then as they were before.

    Raises
    ------
    CheckFailed
        If the block reseeded or used NumPy's: two plugins would then disturb one another.
    """
    numpy_before: Any = np.random.get_state()  # noqa: NPY002
    python_before = random.getstate()
    try:
        np.random.seed(seed)  # noqa: NPY002
        random.seed(seed)
        expected: Any = np.random.get_state()  # noqa: NPY002
        held = random.getstate()
        yield
        now: Any = np.random.get_state()  # noqa: NPY002
        same = now[0] == expected[0] and np.array_equal(now[1], expected[1]) and now[2:] == expected[2:]
        require(
            bool(same) and random.getstate() == held,
            "it uses or reseeds a global random generator (np.random or random); make a generator of its own "
            "from a seed: np.random.default_rng(seed)",
        )
    finally:
        np.random.set_state(numpy_before)  # noqa: NPY002
        random.setstate(python_before)

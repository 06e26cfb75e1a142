"""The frozen cards with which plugins announce what they offer.

A card's ``target`` is an object or a lazy ``"module:attribute"``: listing a hundred metrics imports
nothing heavy. ``params`` holds the target's keyword parameters with their defaults; users may change
exactly those.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from numgeom.errors import PluginError, UnknownName

NAME = re.compile(r"^[a-z][a-z0-9_]*$")
DIRECTIONS = ("higher_is_closer", "lower_is_closer")
INVARIANCES = frozenset({"orthogonal", "scale", "translation", "permutation", "linear"})
INFINITE = (-np.inf, np.inf)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """One model: where it is and what is known of it. Data only.

    Parameters
    ----------
    name : str
        Its name in tables.
    source : str
        The scheme that opens it: ``checkpoint``, ``hf``, ``rows``, ``vectors``, ``synthetic``, ...
    id : str
        A path, a repository, or a recipe, in the words of that scheme.
    revision : str
        A commit, tag or branch, where the scheme knows revisions.
    family : str
        Models of one family are not independent evidence of convergence (W-FAMILY).
    size : int
        How many parameters; 0 where nobody says.
    tokenizer : str
        Name of its vocabulary.
    gated : bool
        Whether its files need an access token.
    params : mapping
        Parameters of the source, such as ``seed`` of a synthetic one.
    license, notes : str
    """

    name: str
    source: str
    id: str
    revision: str = ""
    family: str = ""
    size: int = 0
    tokenizer: str = ""
    gated: bool = False
    params: Mapping[str, Any] = field(default_factory=dict)
    license: str = ""
    notes: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """Fields that every card has.

    Parameters
    ----------
    name : str
        ``^[a-z][a-z0-9_]*$``, the variant in the name: ``cka_linear_debiased``.
    summary : str
        One line.
    target : object or str
        What does the work, or a lazy ``"module:attribute"``.
    reference : str
        Author year, arXiv id.
    version : int
        Bumped when the numbers change; part of every cache key.
    requires : tuple of str
        Packages beyond numgeom's own by import name, or ``"import=distribution"`` where the two differ
        (``"ot=POT"``); a missing one is an error with its pip line.
    params : mapping
        Keyword parameters of the target and their defaults.
    default : int
        Its place among those used when the user names none; 0 for never.
    """

    kind: ClassVar[str] = "plugin"

    name: str
    summary: str
    target: Any
    reference: str = ""
    version: int = 1
    requires: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    default: int = 0

    def __post_init__(self) -> None:
        if not NAME.match(self.name):
            raise PluginError(f"{self.kind} name {self.name!r} must match {NAME.pattern}.")
        if not self.summary or "\n" in self.summary:
            raise PluginError(f"{self.kind} {self.name!r} needs a summary of one line.")

    def load(self) -> Any:
        """The target itself, imported now if it was named lazily.

        Raises
        ------
        PluginError
            If a required package is missing (with the pip line) or the target cannot be imported.
        """
        missing = self.missing_packages()
        if missing:
            raise PluginError(
                f"{self.kind} {self.name!r} needs {', '.join(missing)}; type: pip install {' '.join(missing)}"
            )
        if not isinstance(self.target, str):
            return self.target
        module, _, attribute = self.target.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise PluginError(f"{self.kind} {self.name!r}: cannot load {self.target!r}: {error}.") from error

    def missing_packages(self) -> list[str]:
        """The distributions that it requires and that are not installed."""
        wanted = [name.partition("=") for name in self.requires]
        return [package or module for module, _, package in wanted if importlib.util.find_spec(module) is None]

    def with_params(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Defaults overlaid with ``given``; a name that the card does not list is an error."""
        for name, value in given.items():
            if name not in self.params:
                raise UnknownName(f"parameter of {self.kind} {self.name!r}", name, self.params)
            default = self.params[name]
            number = isinstance(default, (int, float)) and not isinstance(default, bool)
            if number and not isinstance(value, (int, np.integer, type(default))):
                raise PluginError(
                    f"parameter {name!r} of {self.kind} {self.name!r} must be a number like {default}; got {value!r}."
                )
        return {**self.params, **given}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSpec(Spec):
    """A look at a tokenizer only: ``(Tokenizer, NumberSet, **params) -> Mapping[str, value]``.

    Numbers among the values become rows of the long table; lists and text go to the probe's artefact.
    A value of ``None`` means "there is none" and becomes a skipped row.
    """

    kind: ClassVar[str] = "probe"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSpec(Spec):
    """Turns a model and a number set into rows: ``(ModelSpec, NumberSet, *, read, **params) -> Representation``.

    Parameters
    ----------
    schemes : tuple of str
        Model schemes that it opens; by default its own name.
    reads : tuple of str
        What it can read of them (``"input"``, ``"output"``, ``"vectors"``); the first is the default.
        Empty for sources that hold no rows. ``"hidden:{}"`` stands for any ``hidden:12``.
    tokenizer : object or str, optional
        ``(ModelSpec) -> Tokenizer`` for schemes that have one.
    fingerprint : object or str, optional
        ``(ModelSpec) -> str``: changes whenever the model's files do. Without it nothing is cached.
    revisions : bool
        Whether ``SCHEME:id@revision`` names a revision.
    paths : bool
        Whether ids are paths: those of a registry file are then relative to it.
    """

    kind: ClassVar[str] = "source"

    schemes: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    tokenizer: Any = None
    fingerprint: Any = None
    revisions: bool = False
    paths: bool = False

    def opens(self) -> tuple[str, ...]:
        """The schemes that it opens."""
        return self.schemes or (self.name,)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReducerSpec(Spec):
    """A scikit-learn transformer class with its parameters: ``(n, d) -> (n, k)``.

    Parameters
    ----------
    deterministic : bool
        Whether one seed is as good as another; the engine sets ``random_state`` where the class has it.
    supervised : bool
        Whether it saw the numbers themselves (W-LABEL-LEAK).
    nulls : tuple of str
        The controls drawn beside it.
    draws : int
        How many draws of each control; small for slow reducers.
    """

    kind: ClassVar[str] = "reducer"

    deterministic: bool = True
    supervised: bool = False
    nulls: tuple[str, ...] = ("random_tokens", "row_permutation")
    draws: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class GeometrySpec(Spec):
    """One representation to named scalars: ``(Representation, **params) -> float | Mapping[str, float]``.

    The target is such a function, or a class (called with the parameters) whose instances are such
    functions and may have ``permuted(rep, permutations) -> Mapping[str, (draws,)]``: the same values with
    the rows of ``rep`` in each order, without deriving distances again.

    Parameters
    ----------
    range : tuple of float
        Bounds of every value.
    min_numbers : int
        Fewer numbers than this make a skipped row.
    needs_contiguous : bool
        Whether the numbers must be a run of consecutive integers.
    invariant_to : frozenset of str
    nulls : tuple of str
        The controls drawn beside it.
    of_reduction : bool
        Whether it judges a reduction (``rep.origin`` is then the cloud that was reduced, and ``rep.provenance`` says
        how: ``fitted``, ``control``, ``again``).
    rows_only : bool
        Whether it looks at the rows and their width alone: at no numbers, token ids, random or string rows.
    words : mapping
        For a measure that is a verdict, the word of each value: ``{"verdict": {1.0: "yes", 0.0: "no"}}``. Tables print
        the word.
    """

    kind: ClassVar[str] = "geometry metric"

    range: tuple[float, float] = INFINITE
    min_numbers: int = 4
    needs_contiguous: bool = False
    invariant_to: frozenset[str] = frozenset()
    nulls: tuple[str, ...] = ("row_permutation", "iid_gaussian")
    of_reduction: bool = False
    rows_only: bool = False
    words: Mapping[str, Mapping[float, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        Spec.__post_init__(self)
        _check_invariances(self, self.invariant_to)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvergenceSpec(Spec):
    """Two representations with aligned rows to one scalar.

    The target is a plain function ``(rep_a, rep_b, **params) -> float``, or a class (called with the
    parameters) whose instances have ``prepare(rep) -> state`` and ``score(state_a, state_b) -> float``
    and may have ``score_matrix(states) -> (m, m)``, ``permuted(state_a, state_b, permutations) -> (draws,)``,
    ``flipped(view_a, view_b, signs) -> (draws,)`` (the modes of side a under the signs of an order-mode null),
    ``null_moments(state_a, state_b) -> (mean, sd, skewness)`` over all row orders, and
    ``flip_moments(view_a, view_b) -> (observed, mean, sd, skewness, effective number of modes)`` over all signs.

    Parameters
    ----------
    direction : {"higher_is_closer", "lower_is_closer"}
    range : tuple of float
        The closest possible score is the upper (lower) bound; the calibrated score needs it finite.
    symmetric : bool
    is_distance : bool
        Whether it satisfies the axioms of a metric on equivalence classes of its invariances.
    invariant_to : frozenset of str
        A subset of orthogonal, scale, translation, permutation, linear.
    equal_dims : bool
        Whether both widths must be the same.
    min_numbers : int
    saturates : bool
        Whether it approaches its best value on unrelated clouds as n - 1 falls below d (W-N-LT-D).
    """

    kind: ClassVar[str] = "convergence metric"

    direction: str = "higher_is_closer"
    range: tuple[float, float] = INFINITE
    symmetric: bool = True
    is_distance: bool = False
    invariant_to: frozenset[str] = frozenset()
    equal_dims: bool = False
    min_numbers: int = 4
    saturates: bool = False

    def __post_init__(self) -> None:
        Spec.__post_init__(self)
        _check_invariances(self, self.invariant_to)
        if not self.range[0] < self.range[1]:
            raise PluginError(f"metric {self.name!r}: range must be (low, high); got {self.range}.")
        if self.direction not in DIRECTIONS:
            raise PluginError(f"metric {self.name!r}: direction must be one of {', '.join(DIRECTIONS)}.")

    @property
    def best(self) -> float:
        """The score of identical representations; infinite where there is no bound."""
        return self.range[1] if self.direction == "higher_is_closer" else self.range[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class NullSpec(Spec):
    """What a score is held against.

    The target is a function ``(Representation, rng, **params) -> Representation``, or a class (called
    with the parameters) whose instances have ``views(rep) -> Sequence[NullView]``: a null that projects
    what it compares (``order_modes``) answers with one view per projection.

    Parameters
    ----------
    keeps, destroys : str
        In words.
    permutes_rows : bool
        Whether it only reorders rows: metrics may then reindex what they prepared.
    numbered : bool
        Whether row i of a draw still stands for number i, as that of a smooth curve does: pictures then colour it.
    uniform : bool
        Whether it draws every order of the rows, or every sign of its modes, with the same probability: a metric's
        ``null_moments`` or ``flip_moments`` are then its moments, and nothing is drawn where the metric has them.
    of_shape : bool
        Whether its draws depend on n, d and the scale of the rows alone: models of one shape then share them.
    claim : str
        What a score that beats it may be called, such as ``"beyond order"``.
    warning : str
        The code of a convergence row that does not beat it, such as ``"W-ORDER"``.
    """

    kind: ClassVar[str] = "null"

    keeps: str
    destroys: str
    permutes_rows: bool = False
    of_shape: bool = False
    numbered: bool = False
    uniform: bool = False
    claim: str = ""
    warning: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RendererSpec(Spec):
    """Writes one table to a file: ``(numgeom.Table, Path, **params) -> None``.

    Parameters
    ----------
    suffix : str
        File suffix with its dot.
    tables : frozenset of str
        Kinds of table that it can draw (``probe``, ``geometry``, ``reduction``, ``convergence``,
        ``coordinates``, ``long``); empty means all. ``report`` is for one that takes all tables of a study:
        ``(tables, path, manifest)``.
    """

    kind: ClassVar[str] = "renderer"

    suffix: str
    tables: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberSetSpec(Spec):
    """A named number set; the target is its text, as :meth:`NumberSet.parse` reads it."""

    kind: ClassVar[str] = "number set"

    def load(self) -> str:
        """The text: never imported."""
        return str(self.target)


def _check_invariances(spec: Spec, declared: Iterable[str]) -> None:
    for name in declared:
        if name not in INVARIANCES:
            raise UnknownName(f"invariance declared by {spec.name!r}", name, INVARIANCES)

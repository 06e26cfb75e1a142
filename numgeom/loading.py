"""Open models: their tokenizers and their representations, through the cache, each at most once a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from numgeom.catalog import Catalog, Reading
from numgeom.errors import Incompatible, NumgeomError, SourceError, TokenizerError
from numgeom.numbers import NumberSet
from numgeom.outcome import caveats, one_line
from numgeom.plan import Experiment, RepresentationId, named_files, representation_ids
from numgeom.preprocess import preprocess
from numgeom.representation import Representation
from numgeom.specs import ModelSpec, SourceSpec
from numgeom.store import Store, digest
from numgeom.tokenizer import Tokenizer

Progress = Callable[[str, int, int], None]


@runtime_checkable
class ReadsMany(Protocol):
    """The target of a source whose readings cost less together than one by one, as the layers of a model do.

    It is callable like any target; where it is such an object, all readings that a study needs of one model and
    number set are asked for at once. It may also have ``readings(model, **params) -> Sequence[str]``: all that a
    model has of a pattern, which is what ``hidden:all`` stands for.
    """

    def __call__(self, model: ModelSpec, numbers: NumberSet, *, read: str, **params: Any) -> Representation:
        """One reading."""

    def read_many(
        self, model: ModelSpec, numbers: NumberSet, *, reads: list[str], progress: Progress, **params: Any
    ) -> Iterable[tuple[str, Mapping[str, Any], Representation]]:
        """Every reading in ``reads``, with the parameters that differ from ``params``; more may come, and are kept."""


class Loader:
    """What an experiment has opened so far; failures are remembered and raised again for every cell.

    Parameters
    ----------
    catalog : Catalog
    store : Store
    experiment : Experiment
    progress : callable, optional
        Called with (what, done, total) by sources that take long.
    """

    def __init__(
        self, catalog: Catalog, store: Store, experiment: Experiment, progress: Progress | None = None
    ) -> None:
        self.catalog = catalog
        self.store = store
        self.experiment = experiment
        self.progress = progress or (lambda what, done, total: None)
        self.chain = experiment.preprocess
        self.unknown = experiment.unknown
        self.loaded: dict[tuple[str, str, str], Representation] = {}
        self._prepared: dict[tuple[Any, bytes], Representation] = {}
        self._failed: dict[Any, NumgeomError] = {}
        self._together: dict[tuple[str, str, str], Representation | Exception] = {}
        self._codes: dict[tuple[str, str, str], list[str]] = {}
        self._tokenizers: dict[str, Tokenizer] = {}
        self._fingerprints: dict[str, str] = {}

    def rows(self, one: RepresentationId) -> Representation:
        """The rows as they were read.

        Raises
        ------
        NumgeomError
            The same error each time they are asked for.
        """
        if one.key not in self.loaded:
            self.loaded[one.key] = self._sound(one, one.key, lambda: self._read(one))
        return self.loaded[one.key]

    def representation(self, one: RepresentationId, numbers: npt.NDArray[np.int64] | None = None) -> Representation:
        """The preprocessed representation of all its numbers, or of some, which it must have.

        The rows are restricted first: means, spreads and regressions are those of the numbers that are measured,
        whatever others a model may have. What is asked for again is the very same object.

        Raises
        ------
        NumgeomError
            The same error each time it is asked for.
        """
        rows = self.rows(one)
        wanted = rows.numbers if numbers is None else numbers
        key = (one.key, wanted.tobytes())
        if key not in self._prepared:
            self._prepared[key] = self._sound(one, key, lambda: preprocess(rows.restrict(wanted), self.chain))
        return self._prepared[key]

    def _sound(self, one: RepresentationId, key: Any, give: Callable[[], Representation]) -> Representation:
        """What ``give`` gives, or its failure in words, remembered under ``key``."""
        if key in self._failed:
            raise self._failed[key]
        try:
            return give()
        except Exception as error:
            kind = "" if isinstance(error, NumgeomError) else f"{type(error).__name__}: "
            text = one_line(f"{one.model.name}: {kind}{error}")
            problem = Incompatible(text) if isinstance(error, Incompatible) else SourceError(text)
            self._failed[key] = problem
            raise problem from error

    def tokenizer(self, model: ModelSpec) -> Tokenizer:
        """The tokenizer of a model.

        Raises
        ------
        TokenizerError
            If models of its scheme have none.
        """
        key = ("tokenizer", model.name)
        if key in self._failed:
            raise self._failed[key]
        if model.name not in self._tokenizers:
            try:
                self._tokenizers[model.name] = self._open_tokenizer(model)
            except NumgeomError as error:
                self._failed[key] = error
                raise
            except Exception as error:
                problem = TokenizerError(one_line(f"{model.name}: {type(error).__name__}: {error}"))
                self._failed[key] = problem
                raise problem from error
        return self._tokenizers[model.name]

    def fingerprint(self, model: ModelSpec) -> str:
        """A digest that changes whenever the model's files do; empty where its source has none."""
        if model.name not in self._fingerprints:
            try:
                spec = self.catalog.sources.get(model.source)
                function = _resolved(spec, spec.fingerprint)
                own = str(function(model)) if function else ""
            except Exception:
                # Whatever is wrong with the files is reported by reading them, not by naming them.
                own = ""
            identity = [model.source, model.id, model.revision, dict(model.params), own]
            self._fingerprints[model.name] = digest(identity) if own else ""
        return self._fingerprints[model.name]

    def caveats(self, one: RepresentationId) -> list[str]:
        """Warning codes that reading a representation gave."""
        rep = self.loaded.get(one.key)
        return list(rep.provenance.get("warnings", ())) if rep else self._codes.get(one.key, [])

    def tokenizer_digest(self, one: RepresentationId) -> str:
        """What its source says identifies the tokenizer; empty where it says nothing."""
        rep = self.loaded.get(one.key)
        return str(rep.provenance.get("tokenizer_digest", "")) if rep else ""

    def _read(self, one: RepresentationId) -> Representation:
        """The rows as the source gives them, from the cache where it has them."""
        self._refuse_unknown(one.model)
        if one.key in self._together:
            together = self._together.pop(one.key)
            if isinstance(together, Exception):
                raise together
            return together
        reading = self.catalog.reading(one.model, one.source)
        held = self._held(one, reading)
        if held is not None:
            return held
        codes = self._codes.setdefault(one.key, [])
        target: Any = reading.spec.load()
        with caveats(codes):
            if isinstance(target, ReadsMany):
                rep = self._read_together(one, reading, target)
            else:
                rep = target(one.model, one.numbers, read=reading.read, **reading.params)
        return self._keep(one, reading, rep, codes)

    def _read_together(self, one: RepresentationId, reading: Reading, target: ReadsMany) -> Representation:
        """One representation, with all others of the study that cost little beside it."""
        wanted = {reading.read: one, **self._beside(one, reading)}
        codes: list[str] = []
        found: Representation | None = None
        try:
            with caveats(codes):
                for read, changed, rep in target.read_many(
                    one.model, one.numbers, reads=list(wanted), progress=self.progress, **reading.params
                ):
                    if read == reading.read and not changed:
                        found = rep
                        continue
                    other = wanted.get(read) if not changed else None
                    other_reading = replace(reading, read=read, params={**reading.params, **changed})
                    kept = self._keep(other or one, other_reading, rep, codes)
                    if other is not None:
                        self._together[other.key] = kept
        except Exception as error:
            # What stops one stops them all: the model is not opened again for each.
            self._together.update((other.key, error) for other in wanted.values() if other is not one)
            raise
        own = self._codes[one.key]
        own.extend(code for code in codes if code not in own)
        if found is None:
            # The model does not have it, and asked for it alone the source says so.
            found = target(one.model, one.numbers, read=reading.read, **reading.params)
        return found

    def _beside(self, one: RepresentationId, reading: Reading) -> dict[str, RepresentationId]:
        """Other readings of the study that one call of the source can give with ``one``."""
        found: dict[str, RepresentationId] = {}
        for other in representation_ids(self.experiment, one.numbers, self.catalog):
            if other.model.name != one.model.name or other.key in (one.key, *self.loaded, *self._together):
                continue
            try:
                also = self.catalog.reading(other.model, other.source)
            except NumgeomError:
                continue  # raised again when its own turn comes
            if also.spec is reading.spec and also.params == reading.params:
                held = self._held(other, also)
                if held is None:
                    found[also.read] = other
                else:
                    self._together[other.key] = held
        return found

    def _key(self, one: RepresentationId, reading: Reading) -> str:
        """The cache key of a reading; empty where the model has no fingerprint."""
        fingerprint = self.fingerprint(one.model)
        spec = reading.spec
        version = next(item.version for item in self.catalog.sources if item.spec is spec)
        identity = [spec.name, spec.version, version, fingerprint, reading.read, reading.params, one.numbers.spec]
        identity += [files] if (files := named_files(reading.params)) else []
        return digest(["representation", *identity]) if fingerprint else ""

    def _held(self, one: RepresentationId, reading: Reading) -> Representation | None:
        key = self._key(one, reading)
        return self.store.get_representation(key) if key else None

    def _keep(self, one: RepresentationId, reading: Reading, rep: Representation, codes: list[str]) -> Representation:
        """A representation with the codes of its reading, put into the cache."""
        if rep.n == 0:
            raise Incompatible(f"it has none of the numbers {one.numbers.spec}; choose others with --numbers.")
        if codes:
            rep = rep.with_matrix(rep.matrix, warnings=codes)
        key = self._key(one, reading)
        if key:
            self.store.put_representation(key, rep)
        return rep

    def _refuse_unknown(self, model: ModelSpec) -> None:
        if model.name in self.unknown:
            raise SourceError(self.unknown[model.name])

    def _open_tokenizer(self, model: ModelSpec) -> Tokenizer:
        self._refuse_unknown(model)
        spec = self.catalog.sources.get(model.source)
        function = _resolved(spec, spec.tokenizer)
        if function is None:
            raise TokenizerError(
                f"{model.name} ({model.source}:{model.id}) has no tokenizer; give a checkpoint, hf: or tokenizer: one."
            )
        tokenizer: Tokenizer = function(model)
        return tokenizer


def _resolved(spec: SourceSpec, target: Any) -> Any:
    """A second target of a source card, imported if it is named lazily."""
    if not isinstance(target, str):
        return target
    return replace(spec, target=target).load()

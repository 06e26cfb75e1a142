"""Open models: their tokenizers and their representations, through the cache, each at most once a run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from numgeom.catalog import Catalog
from numgeom.errors import Incompatible, NumgeomError, SourceError, TokenizerError
from numgeom.outcome import caveats, one_line
from numgeom.plan import Experiment, RepresentationId
from numgeom.preprocess import preprocess
from numgeom.representation import Representation
from numgeom.specs import ModelSpec, SourceSpec
from numgeom.store import Store, digest
from numgeom.tokenizer import Tokenizer


class Loader:
    """What an experiment has opened so far; failures are remembered and raised again for every cell.

    Parameters
    ----------
    catalog : Catalog
    store : Store
    experiment : Experiment
    """

    def __init__(self, catalog: Catalog, store: Store, experiment: Experiment) -> None:
        self.catalog = catalog
        self.store = store
        self.chain = experiment.preprocess
        self.unknown = experiment.unknown
        self.loaded: dict[tuple[str, str, str], Representation] = {}
        self._failed: dict[Any, NumgeomError] = {}
        self._codes: dict[tuple[str, str, str], list[str]] = {}
        self._tokenizers: dict[str, Tokenizer] = {}
        self._fingerprints: dict[str, str] = {}

    def representation(self, one: RepresentationId) -> Representation:
        """The preprocessed representation.

        Raises
        ------
        NumgeomError
            The same error each time it is asked for.
        """
        if one.key in self._failed:
            raise self._failed[one.key]
        if one.key not in self.loaded:
            try:
                self.loaded[one.key] = preprocess(self._read(one), self.chain)
            except Exception as error:
                kind = "" if isinstance(error, NumgeomError) else f"{type(error).__name__}: "
                text = one_line(f"{one.model.name}: {kind}{error}")
                problem = Incompatible(text) if isinstance(error, Incompatible) else SourceError(text)
                self._failed[one.key] = problem
                raise problem from error
        return self.loaded[one.key]

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
        model = one.model
        self._refuse_unknown(model)
        spec, read = self.catalog.reader(model.source, one.source)
        params = spec.with_params(dict(model.params))
        version = next(item.version for item in self.catalog.sources if item.spec is spec)
        fingerprint = self.fingerprint(model)
        key = digest(["representation", spec.name, spec.version, version, fingerprint, read, params, one.numbers.spec])
        held = self.store.get_representation(key) if fingerprint else None
        if held is not None:
            return held
        codes = self._codes.setdefault(one.key, [])
        with caveats(codes):
            rep: Representation = spec.load()(model, one.numbers, read=read, **params)
        if rep.n == 0:
            raise Incompatible(f"it has none of the numbers {one.numbers.spec}; choose others with --numbers.")
        if codes:
            rep = rep.with_matrix(rep.matrix, warnings=codes)
        if fingerprint:
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

"""The demo checkpoints that come with numgeom."""

from __future__ import annotations

from dataclasses import replace

from numgeom import ModelSpec, NumberSet, Representation, Tokenizer
from numgeom_plugins.sources import demo, fingerprint
from numgeom_plugins.sources.checkpoint import read_checkpoint


def local(model: ModelSpec) -> ModelSpec:
    """The same model as a checkpoint folder.

    Raises
    ------
    UnknownName
        If no demo model has that name; the message lists those that exist.

    Examples
    --------
    >>> local(ModelSpec(name="x", source="demo", id="no such"))  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    UnknownName: unknown demo model
    """
    return replace(model, id=str(demo.path(model.id)))


def read_demo(model: ModelSpec, numbers: NumberSet, *, read: str) -> Representation:
    """The numbers' rows of a demo checkpoint; see :func:`.checkpoint.read_checkpoint`."""
    return read_checkpoint(local(model), numbers, read=read)


def load_tokenizer(model: ModelSpec) -> Tokenizer:
    """The tokenizer of a demo checkpoint."""
    from numgeom_plugins.sources.tokenizers import load_tokenizer as load

    return load(local(model))


def demo_fingerprint(model: ModelSpec) -> str:
    """Changes whenever the demo checkpoint's files do."""
    return fingerprint.folder(local(model))

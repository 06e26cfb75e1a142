"""The tokenizer, the input table and the whole folder of a model, whichever of our sources opens it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from numgeom import ModelSpec, SourceError, Tokenizer, TokenizerError


@dataclass(frozen=True, slots=True)
class InputTable:
    """An input embedding of which any rows can be read.

    Attributes
    ----------
    tensor, dtype, where : str
        Its name, its stored type, and how messages call what holds it.
    count : int
        Rows.
    read : callable
        ``(ids) -> (k, d)`` floats.
    notes : tuple of str
    provenance : dict
        What else is known of the model, such as its revision.
    """

    tensor: str
    dtype: str
    where: str
    count: int
    read: Callable[[npt.NDArray[np.int64]], npt.NDArray[Any]]
    notes: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)


def input_table(model: ModelSpec, tokenizer: Tokenizer, tensor: str = "") -> InputTable:
    """The input embedding of a model.

    Parameters
    ----------
    model : ModelSpec
    tokenizer : Tokenizer
        Its vocabulary tells the table from others.
    tensor : str, optional
        Name of the tensor, where it cannot be found.

    Raises
    ------
    SourceError
        If the model holds no table of token rows, or it cannot be read.

    Examples
    --------
    >>> model = ModelSpec(name="m", source="demo", id="llama_a")
    >>> table = input_table(model, tokenizer_of(model))
    >>> table.tensor, table.read(np.array([11])).shape
    ('model.embed_tokens.weight', (1, 96))
    """
    if model.source == "gguf":
        return _gguf_table(model)
    from numgeom_plugins.sources.checkpoint import embedding_rows
    from numgeom_plugins.sources.embedding_tensor import find_embedding

    checkpoint, provenance = _checkpoint(model)
    chosen = find_embedding(checkpoint, "input", vocab_size=tokenizer.vocab_size, tensor=tensor)
    info = checkpoint.open(chosen.tensor).tensor(chosen.tensor)
    if not info.is_table:
        raise SourceError(
            f"the input embedding {info.name!r} of {checkpoint.name} has type {info.dtype} and shape {info.shape}, "
            "of which no rows are read; take an unquantised checkpoint."
        )
    return InputTable(
        tensor=info.name,
        dtype=info.dtype,
        where=checkpoint.name,
        count=info.shape[0],
        read=lambda ids: embedding_rows(checkpoint, info, ids)[0],
        notes=tuple(chosen.notes),
        provenance=provenance,
    )


def _checkpoint(model: ModelSpec) -> tuple[Any, dict[str, Any]]:
    """An opened checkpoint, and what is known of it."""
    from numgeom_plugins.sources.checkpoint_folder import CheckpointFolder

    if model.source == "checkpoint":
        return CheckpointFolder(Path(model.id).expanduser()), {}
    if model.source == "demo":
        from numgeom_plugins.sources import demo

        return CheckpointFolder(demo.path(model.id)), {}
    if model.source == "hf":
        from numgeom_plugins.sources.hub import open_checkpoint, open_snapshot

        snapshot = open_snapshot(model)
        opened = open_checkpoint(snapshot)
        return opened, {"repository": snapshot.repository, "revision": snapshot.commit}
    if model.source in ("http", "https", "s3", "gs"):
        from numgeom_plugins.sources.remote import RemoteFolder

        folder = RemoteFolder(model)
        opened = CheckpointFolder(folder.path, folder.versions, folder.fetch, name=folder.url, remote=folder.open)
        return opened, {"repository": folder.url, "revision": folder.version}
    raise SourceError(
        f"{model.name} ({model.source}:{model.id}) holds no table of token rows; give a checkpoint, hf: or gguf: model."
    )


def _gguf_table(model: ModelSpec) -> InputTable:
    from numgeom_plugins.sources import gguf
    from numgeom_plugins.sources.gguf_file import GgufFile

    file = GgufFile(Path(model.id).expanduser())
    holder = gguf.holder_of(file, gguf.INPUT)
    if holder is None:
        raise SourceError(f"{file.name} has no {gguf.INPUT}; give the GGUF file of a whole language model.")
    info = holder.tensor(gguf.INPUT)
    return InputTable(
        tensor=gguf.INPUT,
        dtype=info.dtype,
        where=file.name,
        count=info.shape[0],
        read=lambda ids: np.asarray(holder.read_rows(gguf.INPUT, ids)),
    )


def tokenizer_of(model: ModelSpec) -> Tokenizer:
    """The tokenizer that the card of a model's scheme names.

    Raises
    ------
    TokenizerError
        If models of that scheme have none, or it cannot be read.

    Examples
    --------
    >>> tokenizer_of(ModelSpec(name="m", source="demo", id="llama_a")).encode_number(7)
    (11,)
    """
    from numgeom_plugins.sources import numgeom_sources

    card = next((card for card in numgeom_sources() if card.name == model.source), None)
    if card is None or card.tokenizer is None:
        raise TokenizerError(
            f"{model.name} ({model.source}:{model.id}) has no tokenizer; give a checkpoint, hf: or tokenizer: one."
        )
    target: Any = card.tokenizer
    opened: Tokenizer = (replace(card, target=target).load() if isinstance(target, str) else target)(model)
    return opened


def config_folder(model: ModelSpec) -> Path:
    """A folder with the config of a model; of a hub model no weights are fetched.

    Raises
    ------
    SourceError
    """
    return _folder(model, weights=False, code=False)


def whole_folder(model: ModelSpec, *, code: bool = False) -> Path:
    """A folder with everything that running a model needs; what a hub model lacks here is fetched.

    Parameters
    ----------
    model : ModelSpec
    code : bool
        Whether its Python files are fetched too.

    Raises
    ------
    SourceError
        If the model is not there, or the hub cannot be reached and the cache lacks a file.
    """
    return _folder(model, weights=True, code=code)


def _folder(model: ModelSpec, *, weights: bool, code: bool) -> Path:
    if model.source == "checkpoint":
        folder = Path(model.id).expanduser()
        if not (folder / "config.json").is_file():
            raise SourceError(
                f"{str(folder)!r} holds no config.json, so the model cannot be run; give a whole checkpoint folder, "
                "or read its input rows."
            )
        return folder
    if model.source == "demo":
        from numgeom_plugins.sources import demo

        return demo.path(model.id)
    if model.source == "hf":
        return _hub_folder(model, weights=weights, code=code)
    raise SourceError(
        f"{model.name} ({model.source}:{model.id}) cannot be run; give a checkpoint folder, a demo or an hf: model."
    )


def _hub_folder(model: ModelSpec, *, weights: bool, code: bool) -> Path:
    from numgeom_plugins.sources.hub import open_snapshot

    snapshot = open_snapshot(model)
    if "config.json" not in snapshot.files:
        raise SourceError(f"{model.id} holds no config.json, so the model cannot be run; read its input rows.")
    names = ["config.json"]
    if weights:
        safe = [name for name in snapshot.files if name.endswith(".safetensors")]
        # A repository may hold the same weights twice; the one file and the first set of shards come first.
        pickled = [name for name in snapshot.files if name.endswith(".bin") and name.startswith("pytorch_model")]
        small = (".json", ".txt", ".model", ".tiktoken", *((".py",) if code else ()))
        names += [name for name in snapshot.files if name.endswith(small) and name != "config.json"]
        names += (["model.safetensors"] if "model.safetensors" in safe else safe) or pickled
    snapshot.fetch_all(names)
    return snapshot.folder

"""Which tensor of a checkpoint is its input embedding, and which its output embedding.

Decided in this order: the user's word; shapes together with the field's names, where they leave exactly one;
transformers, which builds the architecture without weights; names alone, with a note. Never a guess: what is
still ambiguous is an error that lists the candidates.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from numgeom import Incompatible, MeasurementWarning, SourceError
from numgeom_plugins.sources.architecture import parameter_names
from numgeom_plugins.sources.checkpoint_folder import CheckpointFolder
from numgeom_plugins.sources.safetensors_rows import TensorInfo

# Last module name of the tensor, as the architectures of the field call it.
INPUT_NAMES = (
    "embed_tokens",
    "wte",
    "embed_in",
    "word_embeddings",
    "word_embedding",
    "tok_embeddings",
    "token_embedding",
    "token_embeddings",
    "shared",
    "embeddings",
    "embedding",
    "emb",
)
OUTPUT_NAMES = (
    "lm_head",
    "embed_out",
    "output",
    "head",
    "output_layer",
    "proj_out",
    "lm_loss",
    "generator_lm_head",
)
IN_A_LAYER = re.compile(r"\.\d+\.")
VOCABULARY_KEYS = ("vocab_size", "n_vocab", "padded_vocab_size")
WIDTH_KEYS = (
    "hidden_size",
    "embedding_size",
    "n_embd",
    "n_embed",
    "d_model",
    "d_embed",
    "dim",
    "emb_dim",
    "embed_dim",
    "embedding_dim",
    "word_embed_proj_dim",
    "input_embedding_size",
    "output_embedding_size",
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """A tensor name, and what should be said of the choice."""

    tensor: str
    notes: tuple[str, ...] = ()


def find_embedding(checkpoint: CheckpointFolder, read: str, *, vocab_size: int = 0, tensor: str = "") -> Chosen:
    """The tensor of the input or output embedding.

    Parameters
    ----------
    checkpoint : CheckpointFolder
    read : {"input", "output"}
    vocab_size : int, optional
        Number of ids of the tokenizer, 0 where it is not known.
    tensor : str, optional
        The user's own choice; it is only checked.

    Returns
    -------
    Chosen

    Raises
    ------
    SourceError
        If no tensor can be it, or several can.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from safetensors.numpy import save_file
    >>> folder = Path(tempfile.mkdtemp())
    >>> save_file({"wte.weight": np.zeros((50, 8)), "wpe.weight": np.zeros((16, 8))}, folder / "model.safetensors")
    >>> find_embedding(CheckpointFolder(folder), "input", vocab_size=50).tensor
    'wte.weight'
    """
    if tensor:
        return _users_choice(checkpoint, tensor)
    candidates = _candidates(checkpoint, vocab_size)
    inputs = [name for name in candidates if role(name) == "input"]
    outputs = [name for name in candidates if role(name) == "output"]
    wanted = inputs if read == "input" else outputs
    if len(wanted) == 1 and len(inputs) <= 1 and len(inputs) + len(outputs) == len(candidates):
        return Chosen(wanted[0])
    if not candidates or (read == "output" and candidates == inputs[:1]):
        raise _none(checkpoint, read, vocab_size)
    names = parameter_names(checkpoint, read)
    if names:
        return _by_architecture(checkpoint, read, names, vocab_size)
    if len(wanted) == 1 and (read == "input" or (len(inputs) == 1 and inputs[0].startswith(_part(wanted[0])))):
        return Chosen(wanted[0], ("tensor chosen by its name: transformers could not be asked for this architecture",))
    if read == "input" and len(candidates) == 1 and not outputs:
        return Chosen(candidates[0], ("tensor chosen as the only one with a row for each token",))
    if not wanted and candidates == (inputs if read == "output" else outputs):
        raise _none(checkpoint, read, vocab_size)
    raise SourceError(
        f"{checkpoint.name}: several tensors can be the {read} embedding ({', '.join(candidates[:8])}); "
        f'name one in registry.toml: params = {{ tensor = "{candidates[0]}" }}.'
    )


def role(tensor: str) -> str:
    """``"input"``, ``"output"`` or ``""``, by the last module name of a tensor.

    Examples
    --------
    >>> role("model.embed_tokens.weight"), role("lm_head.weight"), role("embeddings.position_embeddings.weight")
    ('input', 'output', '')
    """
    parts = tensor.split(".")
    last = parts[-2] if parts[-1] == "weight" and len(parts) > 1 else parts[-1]
    if tensor.endswith(("predictions.decoder.weight", "lm_head.decoder.weight")):
        return "output"
    return "input" if last in INPUT_NAMES else "output" if last in OUTPUT_NAMES else ""


def vocabulary_sizes(checkpoint: CheckpointFolder) -> list[int]:
    """Vocabulary sizes that the config states, nested text configs included."""
    return _counts(checkpoint, VOCABULARY_KEYS)


def _candidates(checkpoint: CheckpointFolder, vocab_size: int) -> list[str]:
    """Tables with a row for each id; tensors in shards that are not here yet count by their names."""
    sizes = [*vocabulary_sizes(checkpoint), *([vocab_size] if vocab_size else [])]
    rows = min(sizes, default=1)
    widths = _counts(checkpoint, WIDTH_KEYS)
    infos = {name: checkpoint.info(name) for name in checkpoint.tensors}
    tall = [
        name
        for name, info in infos.items()
        if (role(name) if info is None else info.is_table and info.shape[0] >= rows)
    ]
    fitting = [name for name in tall if _width(infos[name]) in (*widths, None)]
    found = fitting if any(role(name) for name in fitting) or not tall else tall
    # A feed-forward layer may be taller than a small vocabulary, but a layer of many is never the embedding.
    named = [name for name in found if role(name) or not IN_A_LAYER.search(name)]
    return named if any(role(name) for name in named) else found


def _by_architecture(checkpoint: CheckpointFolder, read: str, names: Sequence[str], vocab_size: int) -> Chosen:
    """The tensor that the architecture keeps under one of ``names``.

    Names may differ by a prefix. A head found that way must lie in the part of the model that also holds the
    input embedding: a model may contain another model, with a head that is not its own.
    """
    table = find_embedding(checkpoint, "input", vocab_size=vocab_size).tensor if read == "output" else ""
    for name in names:
        match = _same_parameter(name, checkpoint.tensors)
        if not match or match == table or (read == "output" and match != name and not table.startswith(_part(match))):
            continue
        return Chosen(match, () if match == name else (f"tensor matched to {name} of the architecture",))
    raise _none(checkpoint, read, vocab_size)


def _part(tensor: str) -> str:
    """The part of the model that holds the module of a tensor; empty for the model itself."""
    return tensor.removesuffix(".weight").rpartition(".")[0]


def _users_choice(checkpoint: CheckpointFolder, tensor: str) -> Chosen:
    if tensor not in checkpoint.tensors:
        held = checkpoint.tensors
        raise SourceError(
            f"{checkpoint.name} has no tensor {tensor!r} (params.tensor); it holds: "
            f"{', '.join(held[:8])}{', ...' if len(held) > 8 else ''}."
        )
    info = checkpoint.open(tensor).tensor(tensor)
    if not info.is_table:
        raise SourceError(
            f"tensor {tensor!r} (params.tensor) of {checkpoint.name} has shape {info.shape} and type "
            f"{info.dtype}; an embedding is a matrix of F16, BF16, F32 or F64."
        )
    return Chosen(tensor, ("tensor named by the user",))


def _same_parameter(name: str, tensors: Sequence[str]) -> str:
    """The checkpoint's name of a parameter: the same up to a prefix such as ``model.``; empty where none is."""
    if name in tensors:
        return name
    inner = [
        tensor for tensor in tensors if tensor.endswith("." + name) or ("." in tensor and name.endswith("." + tensor))
    ]
    if len(inner) == 1:
        return inner[0]
    # Wrappers were renamed between versions: the inner names stay, at least module and parameter.
    parts = name.split(".")
    for keep in range(len(parts) - 1, 1, -1):
        tail = ".".join(parts[-keep:])
        same = [tensor for tensor in tensors if tensor == tail or tensor.endswith("." + tail)]
        if same:
            return same[0] if len(same) == 1 else ""
    return ""


def _counts(checkpoint: CheckpointFolder, keys: Sequence[str]) -> list[int]:
    values = [config.get(key) for config in checkpoint.text_configs for key in keys]
    return [value for value in values if type(value) is int and value > 0]


def _width(info: TensorInfo | None) -> int | None:
    return None if info is None else info.shape[1]


def tied(text: str) -> Incompatible:
    """The refusal of an output embedding that is the input embedding, with its warning code."""
    warnings.warn(MeasurementWarning("W-TIED", "the output embedding is the input embedding"), stacklevel=3)
    return Incompatible(text)


def _none(checkpoint: CheckpointFolder, read: str, vocab_size: int) -> SourceError | Incompatible:
    if read == "output":
        return tied(
            f"{checkpoint.name} has no output embedding of its own: it is tied to the input or was saved "
            "without its head, so it is not a second source (W-TIED); use the source input."
        )
    rows = min([*vocabulary_sizes(checkpoint), *([vocab_size] if vocab_size else [])], default=1)
    tables = [(name, info.shape) for name in checkpoint.tensors if (info := checkpoint.info(name)) and info.is_table]
    largest = sorted(tables, key=lambda table: -table[1][0])[:3]
    listed = ", ".join(f"{name} {shape[0]}x{shape[1]}" for name, shape in largest) or "no matrix of floats"
    return SourceError(
        f"{checkpoint.name} has no embedding: no tensor has a row for each of {rows} tokens (largest: {listed}); "
        'an adapter or a part of a model? Give the base model, or params = { tensor = "NAME" } in registry.toml.'
    )

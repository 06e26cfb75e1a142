"""What transformers says of a checkpoint's embeddings: the architecture is built on the meta device, without weights.

This imports torch and transformers, so it is asked only where shapes and names leave a doubt.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

from numgeom_plugins.sources.checkpoint_folder import CheckpointFolder


def parameter_names(checkpoint: CheckpointFolder, read: str) -> list[str]:
    """Names under which the architecture of a checkpoint keeps its input or output embedding.

    Parameters
    ----------
    checkpoint : CheckpointFolder
        Only its ``config.json`` is used; custom code is never run.
    read : {"input", "output"}

    Returns
    -------
    list of str
        The name of ``get_input_embeddings().weight`` (``get_output_embeddings().weight``) first, then other
        names of the same parameter; empty where transformers does not know the architecture.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from transformers import GPT2Config, GPT2LMHeadModel
    >>> folder = Path(tempfile.mkdtemp())
    >>> config = GPT2Config(vocab_size=40, n_positions=64, n_embd=8, n_layer=1, n_head=1)
    >>> GPT2LMHeadModel(config).save_pretrained(folder)
    >>> parameter_names(CheckpointFolder(folder), "input")[0]
    'transformer.wte.weight'
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for model in _models(checkpoint, read):
            names = _names(model, read)
            if names:
                return names
    return []


def _models(checkpoint: CheckpointFolder, read: str) -> Iterator[Any]:
    """The architecture without weights: by the class that wrote the checkpoint, then by the auto classes."""
    import torch
    import transformers
    from transformers import AutoConfig

    # Whatever fails in a foreign architecture leaves it to the names; a doubt that remains is an error there.
    try:
        config = AutoConfig.from_pretrained(checkpoint.path, trust_remote_code=False, local_files_only=True)
    except Exception:
        return
    named = [getattr(transformers, str(name), None) for name in checkpoint.config.get("architectures") or ()]
    classes = [cls for cls in named if isinstance(cls, type) and issubclass(cls, transformers.PreTrainedModel)]
    heads = ["AutoModelForCausalLM", "AutoModelForSeq2SeqLM", "AutoModelForMaskedLM"]
    autos = heads if read == "output" else ["AutoModel", *heads]
    builders = classes + [getattr(transformers, name).from_config for name in autos]
    for build in builders:
        try:
            with torch.device("meta"):
                model = build(config)
        except Exception:
            continue
        yield model


def _names(model: Any, read: str) -> list[str]:
    try:
        layer = model.get_input_embeddings() if read == "input" else model.get_output_embeddings()
    except Exception:
        return []
    weight = getattr(layer, "weight", None)
    if weight is None:
        return []
    own = [f"{name}.weight" for name, module in model.named_modules() if module is layer]
    same = [name for name, parameter in model.named_parameters(remove_duplicate=False) if parameter is weight]
    return list(dict.fromkeys(own + same))

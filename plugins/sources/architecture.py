"""What transformers says of a checkpoint's embeddings: the architecture is built on the meta device, without weights.

This imports torch and transformers, so it is asked only where shapes and names leave a doubt.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from numgeom_plugins.sources.checkpoint_folder import CheckpointFolder

# Every layer and expert is built, without its weights but as a Python object: a config that claims a billion of them
# would fill the memory. The largest models in use have 126 layers, or 61 with 384 experts each.
MOST_LAYERS, MOST_EXPERTS, MOST_BUILT = 1000, 4096, 30_000


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
        if not modest(config.to_dict()):
            return
    except Exception:
        return
    written_by = checkpoint.config.get("architectures")
    names = [name for name in written_by if isinstance(name, str)] if isinstance(written_by, list) else []
    named = [getattr(transformers, name, None) for name in names]
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


def modest(config: Mapping[str, Any]) -> bool:
    """Whether a model of this config has no more parts than real ones have.

    Examples
    --------
    >>> modest({"num_hidden_layers": 61, "n_routed_experts": 384}), modest({"num_hidden_layers": 2**31})
    (True, False)
    """
    layers = _largest(config, re.compile(r"layer|block|depth|stage"))
    experts = _largest(config, re.compile(r"expert"))
    return layers <= MOST_LAYERS and experts <= MOST_EXPERTS and layers * experts <= MOST_BUILT


def _largest(config: Mapping[str, Any], keys: re.Pattern[str]) -> int:
    """The largest whole number under such a key, 1 where there is none; sizes of a layer are no count of layers."""
    found = 1
    for key, value in config.items():
        if isinstance(value, Mapping):
            found = max(found, _largest({str(inner): held for inner, held in value.items()}, keys))
        elif keys.search(str(key)) and not re.search(r"size|dim|width|hidden_units", str(key)):
            held = value if isinstance(value, (list, tuple)) else [value]
            found = max([found, *(number for number in held if type(number) is int)])
    return found


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

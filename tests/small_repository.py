"""Files of small models, as a repository of a hub holds them."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from safetensors.numpy import save

from numgeom import NumgeomError, SourceError

ROWS, WIDTH = 160, 8


def table(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((ROWS, WIDTH)).astype(np.float32)


def tokenizer_json() -> bytes:
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocabulary = {"<unk>": 0, **{str(n): n + 1 for n in range(100)}, **{f"w{chr(97 + i)}": 101 + i for i in range(26)}}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return str(tokenizer.to_str()).encode()


def files(seed: int = 0) -> dict[str, bytes]:
    """One repository with a single weight file."""
    return {
        "config.json": json.dumps({"vocab_size": ROWS, "hidden_size": WIDTH, "tie_word_embeddings": True}).encode(),
        "tokenizer.json": tokenizer_json(),
        "model.safetensors": save({"wte.weight": table(seed)}),
        "README.md": b"# A model",
    }


def sharded() -> dict[str, bytes]:
    """One repository in three shards: embedding, layers, head."""
    shards = {
        "model-00001-of-00003.safetensors": {"model.embed_tokens.weight": table(1)},
        "model-00002-of-00003.safetensors": {"model.layers.0.mlp.weight": np.zeros((3000, WIDTH), np.float32)},
        "model-00003-of-00003.safetensors": {"lm_head.weight": table(2)},
    }
    index = {tensor: name for name, tensors in shards.items() for tensor in tensors}
    rest = files()
    del rest["model.safetensors"]
    config = {"vocab_size": ROWS, "hidden_size": WIDTH, "tie_word_embeddings": False}
    return {
        **rest,
        "config.json": json.dumps(config).encode(),
        "model.safetensors.index.json": json.dumps({"weight_map": index}).encode(),
        "pytorch_model.bin": b"never fetched",
        **{name: save(tensors) for name, tensors in shards.items()},
    }


def commit(digit: str) -> str:
    return digit * 40


def message(call: Callable[[], object], error: type[NumgeomError] = SourceError) -> str:
    with pytest.raises(error) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    return text

"""Whole checkpoints of a few kilobytes: random weights of many architectures, and a tokenizer with a beginning mark."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import decoders, models, normalizers, processors

from numgeom import ModelSpec

VOCABULARY = 160
DEEP = 3


def tokenizer(whole: int = 40) -> Any:
    """Numbers below ``whole`` are one token; every text stands between ``<s>`` and ``</s>``."""
    letters = "abcdefgh"
    merges = [(str(n)[0], str(n)[1]) for n in range(10, whole)] + [(a, b) for a in letters for b in letters]
    pieces = ["<s>", "<unk>", "</s>", *"0123456789", *letters, *"+=- ", *(a + b for a, b in merges)]
    vocabulary = {piece: rank for rank, piece in enumerate(pieces)}
    made = tokenizers.Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>"))
    made.add_special_tokens(["<s>", "<unk>", "</s>"])
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", vocabulary["<s>"]), ("</s>", vocabulary["</s>"])]
    )
    return made


def sentencepiece_like() -> Any:
    """A tokenizer.json that puts a space of its own before a text, as Llama-2's does."""
    pieces = ["<unk>", "<s>", "</s>", "\u2581", *"0123456789", "+", "="]
    made = tokenizers.Tokenizer(models.BPE({piece: rank for rank, piece in enumerate(pieces)}, [], unk_token="<unk>"))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    made.pre_tokenizer = None
    made.decoder = decoders.Replace("\u2581", " ")
    made.add_special_tokens(["<unk>", "<s>", "</s>"])
    made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return made


def build(name: str) -> Any:
    """A model of transformers with random weights."""
    import torch
    import transformers as t

    torch.manual_seed(0)
    v = {"vocab_size": VOCABULARY}
    llama = {
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": DEEP,
        "num_attention_heads": 2,
        "max_position_embeddings": 32,
        **v,
    }
    made = {
        "gpt2": lambda: t.GPT2LMHeadModel(t.GPT2Config(n_positions=32, n_embd=16, n_layer=DEEP, n_head=2, **v)),
        "llama": lambda: t.LlamaForCausalLM(t.LlamaConfig(**llama)),
        "olmo2": lambda: t.Olmo2ForCausalLM(t.Olmo2Config(**llama)),
        "neox": lambda: t.GPTNeoXForCausalLM(t.GPTNeoXConfig(**llama)),
        "qwen2": lambda: t.Qwen2ForCausalLM(t.Qwen2Config(num_key_value_heads=1, **llama)),
        "gemma": lambda: t.GemmaForCausalLM(t.GemmaConfig(num_key_value_heads=1, head_dim=8, **llama)),
        "falcon": lambda: t.FalconForCausalLM(
            t.FalconConfig(hidden_size=16, num_hidden_layers=DEEP, num_attention_heads=2, **v)
        ),
        "opt": lambda: t.OPTForCausalLM(
            t.OPTConfig(
                hidden_size=16,
                ffn_dim=24,
                num_hidden_layers=DEEP,
                num_attention_heads=2,
                max_position_embeddings=32,
                word_embed_proj_dim=16,
                **v,
            )
        ),
        "bert": lambda: t.BertForMaskedLM(t.BertConfig(**llama)),
        "albert": lambda: t.AlbertForMaskedLM(t.AlbertConfig(embedding_size=8, **llama)),
        "t5": lambda: t.T5ForConditionalGeneration(
            t.T5Config(d_model=16, d_kv=8, d_ff=24, num_layers=DEEP, num_decoder_layers=1, num_heads=2, **v)
        ),
        "mamba": lambda: t.MambaForCausalLM(t.MambaConfig(hidden_size=16, state_size=4, num_hidden_layers=DEEP, **v)),
        "rwkv": lambda: t.RwkvForCausalLM(
            t.RwkvConfig(hidden_size=16, attention_hidden_size=16, num_hidden_layers=DEEP, context_length=32, **v)
        ),
    }
    return made[name]().eval()


ARCHITECTURES = (
    "gpt2",
    "llama",
    "olmo2",
    "neox",
    "qwen2",
    "gemma",
    "falcon",
    "opt",
    "bert",
    "albert",
    "t5",
    "mamba",
    "rwkv",
)


def save(name: str, folder: Path, *, tokens: Any = None, dtype: str = "float32") -> ModelSpec:
    """Write a checkpoint folder as ``save_pretrained`` does, and name it."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        build(name).to(getattr(torch, dtype)).save_pretrained(folder)
    (tokens or tokenizer()).save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "<unk>"}'
    )
    return ModelSpec(name=name, source="checkpoint", id=os.fspath(folder))

"""Train the demo models and write them as Hugging Face checkpoints.

``python -m numgeom_plugins.sources.demo.train --out DIR [--only NAME] [--steps N]``

Every model starts from its own seed and reads its own stream of documents; nothing is shared between two
models but the corpus generator and, where stated, the tokenizer. Each document is one row of a batch and is
seen once. With equal versions, threads and processor a run gives the same files to the last bit.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, Literal

import safetensors
import tokenizers
import torch
import transformers
from transformers import (
    AutoModelForCausalLM,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from numgeom.errors import UnknownName
from numgeom_plugins.sources.demo import vocabulary
from numgeom_plugins.sources.demo.corpus import LARGEST, documents, is_held_out, quantity

CONTEXT = 64
BATCH = 64
STEPS = 2000
WARM_UP = 100
THREADS = 2
EMBEDDING_RATE = 3e-3
OTHER_RATE = 2e-3
WEIGHT_DECAY = 0.1
LOSS_BATCHES = 8
IGNORED = -100


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one demo model is made.

    Parameters
    ----------
    name : str
        Its folder.
    seed : int
        Of the initial weights and, separately, of the documents.
    architecture : {"llama", "gpt_neox"}
    tokenizer : {"words", "bpe"}
        A function of :mod:`.vocabulary`.
    tied : bool
        Whether input and output embedding are one matrix.
    dtype : str
        In which the weights are stored; training is in float32.
    trained : bool
        ``False`` leaves the model as it was initialised.
    shuffled : bool
        Whether the number tokens of each document are renamed by a random permutation of ``0..999``.
    """

    name: str
    seed: int
    architecture: Literal["llama", "gpt_neox"] = "llama"
    tokenizer: Literal["words", "bpe"] = "words"
    tied: bool = True
    dtype: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    trained: bool = True
    shuffled: bool = False


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(name="llama_a", seed=1, dtype="float32"),
        Recipe(name="llama_b", seed=2),
        Recipe(name="neox_a", seed=3, architecture="gpt_neox", tied=False, dtype="float16"),
        Recipe(name="llama_bpe", seed=4, tokenizer="bpe"),
        Recipe(name="llama_untrained", seed=5, trained=False),
        Recipe(name="llama_shuffled", seed=6, shuffled=True),
    )
}


def initialised(recipe: Recipe, vocab_size: int, ids: dict[str, int]) -> LlamaForCausalLM | GPTNeoXForCausalLM:
    """A model with random weights: 2 layers of width 96 (Llama) or 3 of width 64 (GPT-NeoX).

    Parameters
    ----------
    recipe : Recipe
    vocab_size : int
    ids : dict
        ``pad_token_id``, ``bos_token_id`` and ``eos_token_id``.
    """
    common: dict[str, Any] = {
        "vocab_size": vocab_size,
        "num_attention_heads": 4,
        "max_position_embeddings": CONTEXT,
        "tie_word_embeddings": recipe.tied,
        **ids,
    }
    torch.manual_seed(recipe.seed)
    if recipe.architecture == "gpt_neox":
        neox = GPTNeoXConfig(hidden_size=64, intermediate_size=256, num_hidden_layers=3, **common)
        return GPTNeoXForCausalLM(neox)
    return LlamaForCausalLM(LlamaConfig(hidden_size=96, intermediate_size=256, num_hidden_layers=2, **common))


class Batches:
    """An endless stream of ``(BATCH, length)`` token ids, padded; one document is one row.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
    seed : str
        Of the documents and of the permutations.
    shuffled : bool
        See :class:`Recipe`.
    """

    def __init__(self, tokenizer: tokenizers.Tokenizer, seed: str, *, shuffled: bool) -> None:
        self._tokenizer = tokenizer
        self._documents = documents(seed)
        self._rng = Random(f"{seed}/permutations") if shuffled else None
        vocab = tokenizer.get_vocab()
        self._numbers = [vocab[str(n)] for n in range(LARGEST + 1)] if shuffled else []
        self._pad = vocab[vocabulary.PAD]

    def __iter__(self) -> Iterator[torch.Tensor]:
        while True:
            rows = [e.ids[:CONTEXT] for e in self._tokenizer.encode_batch(list(islice(self._documents, BATCH)))]
            if self._rng is not None:
                rows = [self._renamed(row, self._rng) for row in rows]
            width = max(map(len, rows))
            yield torch.tensor([row + [self._pad] * (width - len(row)) for row in rows])

    def _renamed(self, row: list[int], rng: Random) -> list[int]:
        other = dict(zip(self._numbers, rng.sample(self._numbers, len(self._numbers)), strict=True))
        return [other.get(token, token) for token in row]


def optimise(model: PreTrainedModel, batches: Iterator[torch.Tensor], steps: int, pad: int) -> int:
    """Train in place with AdamW, a linear warm-up and a cosine to zero.

    Embeddings learn faster and do not decay, so that their rows move far from where they started.

    Parameters
    ----------
    model : PreTrainedModel
    batches : iterator of Tensor
    steps : int
    pad : int
        The id that counts in no loss.

    Returns
    -------
    int
        Tokens seen.
    """
    parameters = list(model.parameters())
    # Only embeddings have one row a token.
    embeddings = [p for p in parameters if p.shape[0] == model.config.vocab_size]
    matrices = [p for p in parameters if p.shape[0] != model.config.vocab_size and p.ndim > 1]
    vectors = [p for p in parameters if p.ndim < 2]
    optimiser = torch.optim.AdamW(
        [
            {"params": embeddings, "lr": EMBEDDING_RATE, "weight_decay": 0.0},
            {"params": matrices, "lr": OTHER_RATE, "weight_decay": WEIGHT_DECAY},
            {"params": vectors, "lr": OTHER_RATE, "weight_decay": 0.0},
        ],
        betas=(0.9, 0.98),
    )
    warm = max(1, min(WARM_UP, steps // 5))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda step: min((step + 1) / warm, 0.5 + 0.5 * math.cos(math.pi * max(0, step - warm) / max(1, steps - warm))),
    )
    model.train()
    tokens = 0
    for ids in islice(batches, steps):
        optimiser.zero_grad()
        model(input_ids=ids, labels=ids.masked_fill(ids == pad, IGNORED)).loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        tokens += int((ids != pad).sum())
    return tokens


def mean_loss(model: PreTrainedModel, batches: Iterator[torch.Tensor], pad: int) -> float:
    """Mean loss in nats per token over the next few batches.

    Parameters
    ----------
    model : PreTrainedModel
    batches : iterator of Tensor
    pad : int
        The id that counts in no loss.

    Returns
    -------
    float
        At least 0; about ``log(vocab_size)`` before training.
    """
    with torch.no_grad():
        losses: list[float] = [
            model(input_ids=ids, labels=ids.masked_fill(ids == pad, IGNORED)).loss.item()
            for ids in islice(batches, LOSS_BATCHES)
        ]
    return sum(losses) / len(losses)


def accuracy(model: PreTrainedModel, tokenizer: tokenizers.Tokenizer, questions: Sequence[tuple[str, str]]) -> float:
    """Share of prompts whose greedy continuation is the answer, all of its tokens right.

    Parameters
    ----------
    model : PreTrainedModel
    tokenizer : tokenizers.Tokenizer
    questions : sequence of (str, str)
        Prompt and answer; the answer brings its own leading space.

    Returns
    -------
    float
        In [0, 1].
    """
    bos, pad = (tokenizer.get_vocab()[token] for token in (vocabulary.BOS, vocabulary.PAD))
    right = 0
    with torch.no_grad():
        for start in range(0, len(questions), 256):
            prompts, rows = [], []
            for prompt, answer in questions[start : start + 256]:
                prompts.append([bos, *tokenizer.encode(prompt, add_special_tokens=False).ids])
                rows.append([*prompts[-1], *tokenizer.encode(answer, add_special_tokens=False).ids])
            width = max(map(len, rows))
            ids = torch.tensor([row + [pad] * (width - len(row)) for row in rows])
            greedy = model(input_ids=ids).logits.argmax(-1)
            for i, (prompt_ids, row) in enumerate(zip(prompts, rows, strict=True)):
                right += int(greedy[i, len(prompt_ids) - 1 : len(row) - 1].tolist() == row[len(prompt_ids) :])
    return right / len(questions)


def examination() -> dict[str, list[tuple[str, str]]]:
    """Runs and sums that are held out of the corpus.

    Of a run, the same numbers may occur inside a longer one; of a sum, the swapped sum or the difference
    may occur. What is new is the question, not every fact that answers it.

    Returns
    -------
    dict
        ``counting`` (five numbers of a run, by 1, 2, 5 or 10, then the sixth), ``sums_to_99`` and
        ``sums_to_999``; each at most 1000 questions.
    """
    runs = [
        [start + step * i for i in range(6)]
        for step in (1, 2, 5, 10)
        for start in range(LARGEST + 1 - 5 * step)
        if is_held_out(start, step)
    ]
    rng = Random("examination")
    pairs = {(quantity(rng), quantity(rng)) for _ in range(60_000)}
    chosen = sorted((a, b) for a, b in pairs if is_held_out(a, b) and a + b <= LARGEST)
    kinds = {
        "counting": [(" ".join(map(str, run[:5])), f" {run[5]}") for run in runs],
        "sums_to_99": [(f"{a} + {b} =", f" {a + b}") for a, b in chosen if a + b <= 99],
        "sums_to_999": [(f"{a} + {b} =", f" {a + b}") for a, b in chosen if a + b > 99],
    }
    return {kind: rng.sample(questions, min(1000, len(questions))) for kind, questions in kinds.items()}


def make(recipe: Recipe, out: Path, steps: int = STEPS) -> dict[str, Any]:
    """Train one model and write its folder.

    Parameters
    ----------
    recipe : Recipe
    out : Path
        The model goes to ``out / recipe.name``.
    steps : int, default 2000
        Ignored for an untrained recipe.

    Returns
    -------
    dict
        What ``provenance.json`` holds.
    """
    folder = out / recipe.name
    folder.mkdir(parents=True, exist_ok=True)
    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        tokenizer = getattr(vocabulary, recipe.tokenizer)()
        ids = {
            f"{kind}_token_id": tokenizer.get_vocab()[token]
            for kind, token in (("pad", vocabulary.PAD), ("bos", vocabulary.BOS), ("eos", vocabulary.EOS))
        }
        pad = ids["pad_token_id"]
        model = initialised(recipe, tokenizer.get_vocab_size(), ids)
        steps = steps if recipe.trained else 0
        fresh = Batches(tokenizer, "examination", shuffled=recipe.shuffled)
        before = mean_loss(model, iter(fresh), pad)
        stream = Batches(tokenizer, f"documents/{recipe.name}/{recipe.seed}", shuffled=recipe.shuffled)
        tokens = optimise(model, iter(stream), steps, pad)
        model.to(getattr(torch, recipe.dtype)).save_pretrained(folder)
        (folder / "model.safetensors").chmod(0o644)
        _save_tokenizer(tokenizer, folder)
        # Loss and accuracy are those of the stored weights, rounded to their dtype.
        stored = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        fresh = Batches(tokenizer, "examination", shuffled=recipe.shuffled)
        after = mean_loss(stored, iter(fresh), pad)
        scores = {kind: accuracy(stored, tokenizer, questions) for kind, questions in examination().items()}
    finally:
        torch.set_num_threads(threads)
    provenance = {
        "model": recipe.name,
        "made_by": "numgeom_plugins.sources.demo.train",
        "architecture": recipe.architecture,
        "tokenizer": recipe.tokenizer,
        "tied_embeddings": recipe.tied,
        "dtype": recipe.dtype,
        "numbers_shuffled": recipe.shuffled,
        "seed": recipe.seed,
        "steps": steps,
        "batch": BATCH,
        "context": CONTEXT,
        "tokens_seen": tokens,
        "loss_before": before,
        "loss_after": after,
        "held_out_accuracy": scores,
        "versions": {
            "python": platform.python_version(),
            **{m.__name__: m.__version__ for m in (safetensors, tokenizers, torch, transformers)},
        },
        "sha256": {
            file: hashlib.sha256((folder / file).read_bytes()).hexdigest()
            for file in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
        },
    }
    (folder / "provenance.json").write_text(json.dumps(provenance, indent=2) + "\n", encoding="utf-8")
    return provenance


def _save_tokenizer(tokenizer: tokenizers.Tokenizer, folder: Path) -> None:
    """``tokenizer.json`` and ``tokenizer_config.json`` as transformers 4 and 5 read them."""
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    settings = {
        "tokenizer_class": PreTrainedTokenizerFast.__name__,
        "model_max_length": CONTEXT,
        "pad_token": vocabulary.PAD,
        "bos_token": vocabulary.BOS,
        "eos_token": vocabulary.EOS,
        "unk_token": vocabulary.UNK,
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and make the models."""
    parser = argparse.ArgumentParser(description="Train the demo models of numgeom.")
    parser.add_argument("--out", type=Path, required=True, help="folder that gets one checkpoint folder a model")
    parser.add_argument("--only", metavar="NAME", help=f"one of {', '.join(RECIPES)}")
    parser.add_argument("--steps", type=int, default=STEPS, help="training steps (default: %(default)s)")
    options = parser.parse_args(arguments)
    if options.only is not None and options.only not in RECIPES:
        raise UnknownName("demo model", options.only, RECIPES)
    if options.steps < 1:
        parser.error(f"--steps {options.steps} trains nothing; give 1 or more.")
    for recipe in RECIPES.values() if options.only is None else [RECIPES[options.only]]:
        made = make(recipe, options.out, options.steps)
        loss = f"loss {made['loss_before']:.2f} -> {made['loss_after']:.2f}"
        scores = ", ".join(f"{kind} {score:.3f}" for kind, score in made["held_out_accuracy"].items())
        print(f"{recipe.name}: {loss}; {scores}", flush=True)


if __name__ == "__main__":
    main()

"""Embedding sources: where the rows of a number set come from. Each reads only the rows it needs."""

from __future__ import annotations

from collections.abc import Iterable

from numgeom import SourceSpec, hookimpl

_HERE = "numgeom_plugins.sources"
_EMBEDDINGS = ("input", "output")


@hookimpl
def numgeom_sources() -> Iterable[SourceSpec]:
    """Checkpoint folders, the hub, demo checkpoints, files of rows or word vectors, formulas, and bare tokenizers."""
    return [
        SourceSpec(
            name="checkpoint",
            summary="A Hugging Face folder with safetensors weights: rows of the input or output embedding",
            target=f"{_HERE}.checkpoint:read_checkpoint",
            reads=_EMBEDDINGS,
            tokenizer=f"{_HERE}.tokenizers:load_tokenizer",
            fingerprint=f"{_HERE}.fingerprint:folder",
            params={"tensor": ""},
            paths=True,
        ),
        SourceSpec(
            name="hf",
            summary="A model on a Hugging Face hub, org/name@revision: rows of the input or output embedding",
            target=f"{_HERE}.hub:read_hub",
            reads=_EMBEDDINGS,
            tokenizer=f"{_HERE}.hub:load_tokenizer",
            fingerprint=f"{_HERE}.hub:hub_fingerprint",
            revisions=True,
            params={"tensor": ""},
        ),
        SourceSpec(
            name="demo",
            summary="A tiny checkpoint that comes with numgeom: works offline, is no language model of any use",
            target=f"{_HERE}.bundled:read_demo",
            reads=_EMBEDDINGS,
            tokenizer=f"{_HERE}.bundled:load_tokenizer",
            fingerprint=f"{_HERE}.bundled:demo_fingerprint",
        ),
        SourceSpec(
            name="rows",
            summary="Rows taken out of a model before: an .npz or .safetensors file of numbers and number_values",
            target=f"{_HERE}.rows:read_rows",
            reads=("vectors",),
            fingerprint=f"{_HERE}.fingerprint:file",
            paths=True,
        ),
        SourceSpec(
            name="vectors",
            summary="Static word vectors as text, word2vec or GloVe, optionally .gz",
            reference="Pennington et al. 2014; Mikolov et al. 2013, arXiv:1301.3781",
            target=f"{_HERE}.vectors:read_vectors",
            reads=("vectors",),
            fingerprint=f"{_HERE}.fingerprint:file",
            params={"seed": 0},
            paths=True,
        ),
        SourceSpec(
            name="synthetic",
            summary="Known answers by formula: line, circle, helix, walk, iid",
            reference="Kantamneni & Tegmark 2025, arXiv:2502.00873 (helix)",
            target=f"{_HERE}.synthetic:read_synthetic",
            reads=("vectors",),
            fingerprint=f"{_HERE}.fingerprint:recipe",
            params={"d": 64, "seed": 0, "noise": 0.0, "periods": ""},
        ),
        SourceSpec(
            name="tokenizer",
            summary="A tokenizer alone, for probes: no rows",
            target=f"{_HERE}.tokenizer_only:refuse",
            tokenizer=f"{_HERE}.tokenizers:load_tokenizer",
            fingerprint=f"{_HERE}.tokenizers:fingerprint",
            paths=True,
        ),
    ]

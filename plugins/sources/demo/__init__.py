"""The bundled demo checkpoints: tiny transformers trained on synthetic number text by :mod:`.train`.

They are no language models of any use. They exist so that a comparison runs offline, on real checkpoints
whose training everyone can repeat. ``README.md`` beside this file says what they are and what to expect.
"""

from __future__ import annotations

from pathlib import Path

from numgeom.errors import UnknownName

FOLDER = Path(__file__).resolve().parent


def names() -> list[str]:
    """Names of the bundled checkpoints, sorted.

    Returns
    -------
    list of str
        One name for each folder beside this module that holds a ``config.json``.

    Examples
    --------
    >>> "llama_a" in names()
    True
    """
    return sorted(config.parent.name for config in FOLDER.glob("*/config.json"))


def path(name: str) -> Path:
    """The checkpoint folder of one demo model.

    Parameters
    ----------
    name : str
        One of :func:`names`.

    Returns
    -------
    Path
        A Hugging Face folder: ``config.json``, ``model.safetensors``, ``tokenizer.json``, ...

    Raises
    ------
    UnknownName
        If no demo model has that name; the message lists those that exist.

    Examples
    --------
    >>> (path("llama_a") / "model.safetensors").is_file()
    True
    """
    known = names()
    if name not in known:
        raise UnknownName("demo model", name, known)
    return FOLDER / name

"""The two tokenizers of the demo models, built from the corpus with the ``tokenizers`` library."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING

from numgeom_plugins.sources.demo.corpus import LARGEST, counting, documents, drills

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PAD, BOS, EOS, UNK = SPECIALS = ("<pad>", "<bos>", "<eos>", "<unk>")
SAMPLE = 20_000  # documents from which a vocabulary is made
BPE_SIZE = 1792
_SEED = "vocabulary"


def words() -> Tokenizer:
    """One token for each digit string of up to three digits, and for each word and sign of the corpus.

    Longer numbers are cut in threes from the left, as by Llama 3: ``12345`` is ``123 45``. The 110 digit
    strings that are no canonical integers (``00``, ``007``) are tokens too, so any integer can be written.
    Spaces are no part of any token.

    Returns
    -------
    tokenizers.Tokenizer

    Examples
    --------
    >>> words().encode("Zoe paid $4.05 for -12345", add_special_tokens=False).tokens
    ['Zoe', 'paid', '$', '4', '.', '05', 'for', '-', '123', '45']
    """
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers

    split = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Split(Regex(r"[0-9]{1,3}"), "isolated"),
            pre_tokenizers.Punctuation("isolated"),
        ]
    )
    seen = Counter(
        piece
        for text in islice(documents(_SEED), SAMPLE)
        for piece, _ in split.pre_tokenize_str(text)
        if not piece.isdigit()
    )
    integers = [str(n) for n in range(LARGEST + 1)]
    padded = [f"{n:0{width}}" for width in (2, 3) for n in range(10 ** (width - 1))]
    others = sorted(seen, key=lambda piece: (-seen[piece], piece))
    vocabulary = {piece: i for i, piece in enumerate([*SPECIALS, *integers, *padded, *others])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNK))
    tokenizer.pre_tokenizer = split
    return _with_specials(tokenizer)


def bpe() -> Tokenizer:
    """A byte-level BPE in the manner of GPT-2, whose single-token integers have holes.

    A space belongs to the word or number that follows it, so ``7`` and `` 7`` are two tokens. It is trained
    without the runs and drills, in which all integers are equally frequent: what is left favours small
    and round numbers, and only frequent ones become tokens.

    Returns
    -------
    tokenizers.Tokenizer

    Examples
    --------
    >>> bpe().encode("7 8,100", add_special_tokens=False).tokens
    ['7', 'Ġ8', ',', '100']
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=BPE_SIZE,
        special_tokens=list(SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(islice(documents(_SEED, without=(counting, drills), tight=True), SAMPLE), trainer)
    return _with_specials(tokenizer)


def _with_specials(tokenizer: Tokenizer) -> Tokenizer:
    """Mark the special tokens and wrap every text as ``<bos> text <eos>``."""
    from tokenizers import processors

    tokenizer.add_special_tokens(list(SPECIALS))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A {EOS}",
        pair=f"{BOS} $A {EOS} {BOS} $B {EOS}",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in (BOS, EOS)],
    )
    return tokenizer

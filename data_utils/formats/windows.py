"""Cut the texts of an example into overlapping windows, one sequence for each."""

from __future__ import annotations

from typing import Any

from tokenizers import Encoding
from transformers import PreTrainedTokenizerBase

from data_utils.formats.rows import encode_pairs, pair_types
from data_utils.task_def import Windows


def encode_texts(
    first: list[str],
    second: list[str] | None,
    tokenizer: PreTrainedTokenizerBase,
    max_seq_len: int,
    windows: Windows | None,
) -> dict[str, list]:
    """Tokenize sentences or sentence pairs; cut those that are too long if ``windows`` is set.

    Without ``windows`` this is :func:`data_utils.formats.rows.encode_pairs`. With it, every example is a
    list of sequences. An example that fits into ``max_seq_len`` has the one sequence that it has without
    windows. Of a longer pair, the text with more tokens (the first if both have equally many) is cut into
    windows, and the other one is repeated in each of them, truncated to half of the tokens. Neighbouring
    windows overlap by ``windows.stride`` tokens, but at most by half of the tokens that a window has for
    the long text.

    Returns:
        The columns ``input_ids``, ``truncated`` and possibly ``token_type_ids``. ``truncated`` marks
        examples that lack a part of a text: the end of the repeated one, or windows above
        ``windows.max_windows``.
    """
    columns = encode_pairs(first, second, tokenizer, max_seq_len)
    if windows is None:
        return columns
    names = [name for name in columns if name != "truncated"]
    long = [index for index, cut in enumerate(columns["truncated"]) if cut]
    columns = {name: [[sequence] for sequence in columns[name]] for name in names} | {
        "truncated": [False] * len(first)
    }
    texts = [[given[index] for index in long] for given in (first, second) if given is not None]
    tokenized = (
        tokenizer(given, add_special_tokens=False, verbose=False).encodings if given else []
        for given in texts
    )
    for index, *encodings in zip(long, *tokenized, strict=True):
        parts, cut = _windows(encodings, tokenizer, max_seq_len, windows.stride)
        kept = parts[: windows.max_windows]
        columns["truncated"][index] = cut or len(kept) < len(parts)
        for name in names:
            columns[name][index] = [_column(name, part, tokenizer) for part in kept]
    return columns


def _windows(
    texts: list[Encoding], tokenizer: PreTrainedTokenizerBase, max_seq_len: int, stride: int
) -> tuple[list[Encoding], bool]:
    """Cut the longer text of an example.

    Args:
        texts: one or two texts, without special tokens. They are changed.

    Returns:
        The windows, with special tokens, and whether the shorter text was truncated.
    """
    room = max_seq_len - tokenizer.num_special_tokens_to_add(pair=len(texts) == 2)
    long, *others = sorted(texts, key=len, reverse=True)  # stable: the first text if both are equal
    cut = any(len(other) > room // 2 for other in others)
    for other in others:
        other.truncate(room // 2)
        room -= len(other)
    long.truncate(room, stride=min(stride, room // 2))
    join = tokenizer.backend_tokenizer.post_process
    return [
        join(*(part if text is long else text for text in texts))
        for part in [long, *long.overflowing]
    ], cut


def _column(name: str, window: Encoding, tokenizer: PreTrainedTokenizerBase) -> Any:
    """Return a column of one window; token types as in :func:`encode_pairs`."""
    if name == "input_ids":
        return window.ids
    if "token_type_ids" in tokenizer.model_input_names:
        return window.type_ids
    return pair_types(window.sequence_ids)

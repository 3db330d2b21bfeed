"""The known word that a misspelled one was probably meant to be."""

from __future__ import annotations

from collections.abc import Iterable

_MIN_BEGINNING = 3  # letters that are enough to recognize a word


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean `interval`?`` for the most similar known word, else an empty text."""
    distances = [(_distance(word.casefold(), each.casefold()), each) for each in known]
    distances += [(1, each) for _, each in distances if _begins(each.casefold(), word.casefold())]
    distance, nearest = min(distances, default=(len(word), ""))
    is_similar = word and nearest and distance <= max(1, len(word) // 3)
    return f"; did you mean `{nearest}`?" if is_similar else ""


def _begins(known: str, word: str) -> bool:
    return len(word) >= _MIN_BEGINNING and known.startswith(word)


def _distance(one: str, other: str) -> int:
    """Return how many characters to insert, delete or replace (Levenshtein's distance)."""
    row = list(range(len(other) + 1))
    for number, left in enumerate(one, 1):
        previous, row = row, [number]
        for at, right in enumerate(other):
            row.append(min(previous[at] + (left != right), previous[at + 1] + 1, row[at] + 1))
    return row[-1]

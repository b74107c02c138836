"""Reads words that are written together: 제주카페투어 is 제주, 카페 and 투어, and so speaks for a cafe."""

from hashtagger.lexicon import ANYWHERE, END, SHY, UNKNOWN_COST, WEAK, WORD_COST, Keys, Lexicon

_EDGE = 6  # letters of a Latin word that speaks for its label at either end of a tag, whatever the rest is


def read_compound(text: str, lexicon: Lexicon, *, wholly: bool = False) -> Keys:
    """Divide a compound into the fewest known words, and ask those that speak for a label, the last first.

    Args:
        text: A folded tag, or a part of one, in one script.
        lexicon: The words that are known.
        wholly: Read it only if known words cover all of it.

    Returns:
        Keys of the labels that it speaks for, best first; none where no word does.
    """
    if not _holds_label_word(text, lexicon):
        return ()
    size = len(text)
    found: list[str] = []
    shy: list[str] = []
    weak: list[str] = []
    covered = True
    for start, end in _divide(text, lexicon):
        word = lexicon.words.get(text[start:end])
        if word is None:
            covered = covered and text[start:end].isdigit()
            continue
        if not word.keys:
            continue
        latin = text[start].isalpha() and text[start] < "\u0250"
        bold = word.where == ANYWHERE or (word.where == END and end == size)
        if latin:
            bold = bold and end - start >= _EDGE and (start == 0 or end == size)
        if bold:
            found += word.keys
        elif latin or word.where == SHY:
            shy += word.keys
        elif word.where == WEAK:
            weak += word.keys
    if wholly and not covered:
        return ()
    if shy and covered:
        found += shy
    return tuple(dict.fromkeys(found or weak))


def _holds_label_word(text: str, lexicon: Lexicon) -> bool:
    words, lengths = lexicon.label_words, lexicon.label_lengths
    for start, char in enumerate(text):
        if char in lengths:
            for length in lengths[char]:
                if text[start : start + length] in words:
                    return True
    return False


def _divide(text: str, lexicon: Lexicon) -> list[tuple[int, int]]:
    """Find the division of least cost: where each word starts and ends, the last word first."""
    words, lengths = lexicon.words, lexicon.lengths
    size = len(text)
    cost = [0] + [UNKNOWN_COST * (size + 1)] * size
    came = [0] * (size + 1)
    # A stretch of unknown characters is a word too: 미선생일 is 미선 and 생일, not 미, 선생 and 일.
    unknown, since = cost[-1], 0
    for start in range(size):
        here = cost[start]
        char = text[start]
        if here + WORD_COST < unknown:
            unknown, since = here + WORD_COST, start
        unknown += 1 if char.isdigit() else UNKNOWN_COST
        if unknown < cost[start + 1]:
            cost[start + 1], came[start + 1] = unknown, since
        for length in lengths.get(char, ()):
            end = start + length
            if end <= size:
                word = words.get(text[start:end])
                if word is not None and here + word.cost < cost[end] and (word.where != END or end == size):
                    cost[end], came[end] = here + word.cost, start
    division = []
    end = size
    while end:
        division.append((came[end], end))
        end = came[end]
    return division

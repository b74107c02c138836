"""Split tags written without spaces into known words: 제주카페투어 is 제주, 카페 and 투어, so it means a cafe."""

from hashtagger.lexicon import ANYWHERE, END, SHY, UNKNOWN_COST, WEAK, WORD_COST, Keys, Lexicon

_EDGE = 6  # a Latin word at least this long names its label at either end of a tag, whatever the rest of the tag is


def read_compound(text: str, lexicon: Lexicon, *, wholly: bool = False) -> Keys:
    """Split a compound into the fewest known words and collect the labels they stand for, last word first.

    Args:
        text: A folded tag, or a part of one, in one script.
        lexicon: The known words.
        wholly: Return labels only if known words cover all of ``text``.

    Returns:
        Keys of the labels, best first; empty if no word stands for a label.
    """
    if not _holds_label_word(text, lexicon):
        return ()
    size = len(text)
    division = [(start, end, lexicon.words.get(text[start:end])) for start, end in _divide(text, lexicon)]
    covered = all(word or text[start:end].isdigit() for start, end, word in division)
    if wholly and not covered:
        return ()
    found: list[str] = []
    shy: list[str] = []
    weak: list[str] = []
    for start, end, word in division:
        if word is None or not word.keys:
            continue
        bold = word.where == ANYWHERE or (word.where == END and end == size)
        if text[start].isalpha() and text[start] < "\u0250":  # Latin
            bold = covered or (bold and end - start >= _EDGE and (start == 0 or end == size))
        if bold:
            found += word.keys
        elif word.where == SHY and covered:
            shy += word.keys
        elif word.where == WEAK:
            weak += word.keys
    return tuple(dict.fromkeys([*found, *shy] or weak))


def _holds_label_word(text: str, lexicon: Lexicon) -> bool:
    words, lengths = lexicon.label_words, lexicon.label_lengths
    for start, char in enumerate(text):
        if char in lengths:
            for length in lengths[char]:
                if text[start : start + length] in words:
                    return True
    return False


def _divide(text: str, lexicon: Lexicon) -> list[tuple[int, int]]:
    """Find the split with the lowest cost, as the (start, end) of each word, last word first."""
    words, lengths = lexicon.words, lexicon.lengths
    size = len(text)
    cost = [0] + [UNKNOWN_COST * (size + 1)] * size
    previous = [0] * (size + 1)
    # A run of unknown characters costs as much as a word, so 미선생일 is 미선 and 생일, not 미, 선생 and 일.
    unknown, since = cost[-1], 0
    for start in range(size):
        here = cost[start]
        char = text[start]
        if here + WORD_COST < unknown:
            unknown, since = here + WORD_COST, start
        unknown += 1 if char.isdigit() else UNKNOWN_COST
        if unknown < cost[start + 1]:
            cost[start + 1], previous[start + 1] = unknown, since
        for length in lengths.get(char, ()):
            end = start + length
            if end <= size:
                word = words.get(text[start:end])
                if word is not None and here + word.cost < cost[end] and (word.where != END or end == size):
                    cost[end], previous[end] = here + word.cost, start
    division = []
    end = size
    while end:
        division.append((previous[end], end))
        end = previous[end]
    return division

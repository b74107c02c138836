"""Labels on the command line: found in whichever form people write a tag, shown in the user's language."""

from collections.abc import Mapping
from typing import Any

from hashtagger.errors import VocabularyError
from hashtagger.i18n import _, language
from hashtagger.vocabulary import Label, Vocabulary


def find_label(vocabulary: Vocabulary, text: str) -> Label:
    """Find the label of a tag, a variant of it or a key: ``강아지``, ``#댕댕이``, ``dog``.

    Raises:
        VocabularyError: There is none; the line lists what there is.
    """
    from hashtagger.normalize import Normalizer

    if text in vocabulary:
        return vocabulary[text]
    for key in Normalizer(vocabulary).normalize(text).canonical[:1]:
        return vocabulary[key]
    raise VocabularyError(
        _("vocabulary {name} has no tag {tag!r}; it has: {known}").format(
            name=vocabulary.name, tag=text, known=", ".join(f"{label.tag} ({label.key})" for label in vocabulary)
        )
    )


def spoken(detail: Any) -> str:
    """What a label's detail says in the user's language: a text, or a table of texts by language (``ko``, ``en``)."""
    if isinstance(detail, Mapping):
        detail = detail.get(language())
    return detail if isinstance(detail, str) else ""

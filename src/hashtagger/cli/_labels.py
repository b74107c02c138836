"""A tag on the command line, in whichever form people write it."""

import unicodedata

from hashtagger.errors import VocabularyError
from hashtagger.i18n import _
from hashtagger.vocabulary import Label, Vocabulary


def find_label(vocabulary: Vocabulary, text: str) -> Label:
    """Find the label of a tag, a variant of it or a key: ``강아지``, ``#댕댕이``, ``dog``.

    Raises:
        VocabularyError: There is none; the line lists what there is.
    """
    wanted = unicodedata.normalize("NFC", text.strip().lstrip("#"))
    for label in vocabulary:
        if wanted in (label.tag, label.key, *label.variants):
            return label
    raise VocabularyError(
        _("vocabulary {name} has no tag {tag!r}; it has: {known}").format(
            name=vocabulary.name, tag=wanted, known=", ".join(f"{label.tag} ({label.key})" for label in vocabulary)
        )
    )

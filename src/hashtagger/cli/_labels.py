"""Labels on the command line: found in whichever form people write a tag, shown in the user's language."""

from collections.abc import Mapping
from typing import Any

import click

from hashtagger.errors import VocabularyError
from hashtagger.i18n import _, language
from hashtagger.vocabulary import Label, Vocabulary, available, load_vocabulary

_LISTED = 20


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


def whole_vocabulary(given: str | None, learned: Vocabulary) -> Vocabulary:
    """Find the vocabulary of which a network learned some labels.

    Args:
        given: Name or file of it, where the user says so.
        learned: The labels that the network knows; they are all there is where no bundled vocabulary has them.
    """
    whole = load_vocabulary(given or learned.name) if given or learned.name in available() else learned
    return whole if set(whole.keys) >= set(learned.keys) else learned


def unlearned(whole: Vocabulary, learned: Vocabulary) -> list[Label]:
    """Labels of a vocabulary that a network does not know."""
    return [label for label in whole if label.key not in learned.keys]


def echo_unlearned(labels: list[Label]) -> None:
    """Tell which labels a network does not know, and how it would learn them."""
    if labels:
        tags = ", ".join(label.tag for label in labels[:_LISTED]) + (", ..." if len(labels) > _LISTED else "")
        click.echo(_("The network has not learned these: {tags}").format(tags=tags), err=True)
        click.echo(_("To teach it: hashtagger collect, then hashtagger train (docs/studies.md)."), err=True)


def spoken(detail: Any) -> str:
    """What a label's detail says in the user's language: a text, or a table of texts by language (``ko``, ``en``)."""
    if isinstance(detail, Mapping):
        detail = detail.get(language())
    return detail if isinstance(detail, str) else ""

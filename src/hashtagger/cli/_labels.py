"""Find labels by tags as users type them, and show labels in the user's language."""

from collections.abc import Mapping
from typing import Any

import click

from hashtagger.errors import VocabularyError
from hashtagger.i18n import _, language
from hashtagger.vocabulary import Label, Vocabulary, available, load_vocabulary

_LISTED = 20


def find_label(vocabulary: Vocabulary, text: str) -> Label:
    """Find a label by its tag, a variant of the tag or its key: ``강아지``, ``#댕댕이``, ``dog``.

    Raises:
        VocabularyError: There is no such label; the message lists those there are.
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
    """Find the full vocabulary that a network's labels come from.

    Args:
        given: Name or file of the vocabulary, if the user gave one.
        learned: The labels that the network knows; returned if no other vocabulary contains all of them.
    """
    whole = load_vocabulary(given or learned.name) if given or learned.name in available() else learned
    return whole if set(whole.keys) >= set(learned.keys) else learned


def unlearned(whole: Vocabulary, learned: Vocabulary) -> list[Label]:
    """Return the labels of a vocabulary that a network does not know."""
    return [label for label in whole if label.key not in learned.keys]


def echo_unlearned(labels: list[Label]) -> None:
    """Print which labels a network does not know, and how to teach them to it."""
    if labels:
        tags = ", ".join(label.tag for label in labels[:_LISTED]) + (", ..." if len(labels) > _LISTED else "")
        click.echo(_("The network has not learned these: {tags}").format(tags=tags), err=True)
        click.echo(_("To teach it: hashtagger collect, then hashtagger train (docs/studies.md)."), err=True)


def spoken(detail: Any) -> str:
    """Return a label's detail, a text or a table of texts by language (``ko``, ``en``), in the user's language."""
    if isinstance(detail, Mapping):
        detail = detail.get(language())
    return detail if isinstance(detail, str) else ""

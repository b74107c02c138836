"""Whose labels a network's outputs are."""

import os
from dataclasses import replace

from hashtagger.errors import VocabularyError, WeightsError
from hashtagger.i18n import _
from hashtagger.models.weights import ModelConfig
from hashtagger.vocabulary import Label, Vocabulary, load_vocabulary

_LISTED = 20


def labels_of(config: ModelConfig, path: "str | os.PathLike[str]", vocabulary: Vocabulary | None = None) -> Vocabulary:
    """Give the labels of a network's outputs, in their order.

    A network may have learned a part of a vocabulary only; then these labels alone come back.

    Args:
        config: What the weights file says of itself.
        path: The file, for the error.
        vocabulary: Whose labels they are to be; by default the bundled one that the file names, or where there
            is none of that name with these keys, labels made of the keys and tags in the file.

    Raises:
        WeightsError: The network has classes that ``vocabulary`` lacks.
    """
    if vocabulary is None:
        try:
            return labels_of(config, path, load_vocabulary(config.vocabulary))
        except (VocabularyError, WeightsError):
            # The keys are folders' names, which may hold blanks; a hashtag has none.
            tags = config.tags or ["_".join(key.split()) for key in config.keys]
            labels = tuple(Label(key, tag, name=key) for key, tag in zip(config.keys, tags, strict=True))
            return Vocabulary(config.vocabulary, config.vocabulary, labels)
    known = {label.key: label for label in vocabulary}
    if not known.keys() >= set(config.keys):
        raise WeightsError(
            _("{path}: its {found} classes ({those}) are not the {expected} of {name} ({these})").format(
                path=path,
                found=len(config.keys),
                those=_listed(config.keys),
                expected=len(vocabulary),
                name=vocabulary.name,
                these=_listed(vocabulary.keys),
            )
        )
    return replace(vocabulary, labels=tuple(known[key] for key in config.keys))


def _listed(keys: "list[str] | tuple[str, ...]") -> str:
    return ", ".join(keys[:_LISTED]) + (", ..." if len(keys) > _LISTED else "")

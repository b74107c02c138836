"""Map a network's outputs to labels."""

import os
from dataclasses import replace

from hashtagger.errors import VocabularyError, WeightsError
from hashtagger.i18n import _
from hashtagger.models.config import ModelConfig
from hashtagger.vocabulary import Label, Vocabulary, load_vocabulary

_LISTED = 20


def labels_of(config: ModelConfig, path: "str | os.PathLike[str]", vocabulary: Vocabulary | None = None) -> Vocabulary:
    """Return the labels of a network's outputs, in their order, as a vocabulary.

    A network may have learned only some labels of a vocabulary; only those are returned.

    Args:
        config: The config stored in the weights file.
        path: The weights file, named in the error message.
        vocabulary: The vocabulary to take the labels from; by default the bundled one that the config names. If there
            is none, or it lacks a key, the labels come from the config itself or are derived from its keys.

    Raises:
        WeightsError: The network has classes that the given ``vocabulary`` lacks.
    """
    if vocabulary is None:
        try:
            return labels_of(config, path, load_vocabulary(config.vocabulary))
        except (VocabularyError, WeightsError):
            # Keys are folder names and may contain spaces; hashtags may not.
            labels = config.labels or tuple(Label(key, "_".join(key.split()), name=key) for key in config.keys)
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

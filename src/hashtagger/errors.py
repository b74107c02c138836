"""What a user can get wrong. Each message is one line that names the input and the cause."""


class HashtaggerError(Exception):
    """Base of all errors that a user can cause; the command line prints it and exits with 1."""


class ImageError(HashtaggerError, ValueError):
    """Something that is not a readable photo."""


class VocabularyError(HashtaggerError, ValueError):
    """An unknown vocabulary or label, or a vocabulary file that does not say what it must."""


class ModelError(HashtaggerError, ValueError):
    """A network that does not exist, or cannot do what is asked of it."""


class WeightsError(HashtaggerError, ValueError):
    """A weights file that is missing, damaged, or made for another network."""


class SourceError(HashtaggerError, ValueError):
    """A folder or archive that holds no posts we can read."""


class CollectError(HashtaggerError):
    """Something that Instagram does not hand out, or not now."""


class OrganizeError(HashtaggerError, ValueError):
    """A destination that cannot be written as asked."""


class TrainingError(HashtaggerError, ValueError):
    """Photos, a recipe or a run's folder that training or evaluation cannot use."""


class TaggingError(HashtaggerError, ValueError):
    """Inputs, an output or an unfinished run that tagging a pile of photos cannot use."""


class MissingExtraError(HashtaggerError, ImportError):
    """A feature whose optional packages are not installed."""

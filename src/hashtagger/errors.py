"""Errors that a user can cause. Each message is one line that names the input and the cause."""

import errno

from hashtagger.i18n import _


class HashtaggerError(Exception):
    """Base of all errors that a user can cause; the command line prints it and exits with 1."""


class ImageError(HashtaggerError, ValueError):
    """Input that is not a photo, or a photo that cannot be read."""


class VocabularyError(HashtaggerError, ValueError):
    """An unknown vocabulary or label, or an invalid vocabulary file."""


class UnknownLabelError(VocabularyError, KeyError):
    """A label that a vocabulary does not have."""

    __str__ = Exception.__str__  # KeyError.__str__ would put the message in quotes


class ModelError(HashtaggerError, ValueError):
    """A network that does not exist or does not support the requested operation."""


class WeightsError(HashtaggerError, ValueError):
    """A weights file that is missing, damaged, or belongs to another network."""


class SourceError(HashtaggerError, ValueError):
    """A folder or archive that contains no readable posts."""


class CollectError(HashtaggerError):
    """A request that Instagram refuses, temporarily or permanently."""


class OrganizeError(HashtaggerError, ValueError):
    """A destination that cannot be written to as requested."""


class TrainingError(HashtaggerError, ValueError):
    """Photos, a recipe or a run folder that training or evaluation cannot use."""


class TaggingError(HashtaggerError, ValueError):
    """Inputs, an output file or an unfinished run that ``hashtagger tag`` cannot use."""


class MissingExtraError(HashtaggerError, ImportError):
    """A feature whose optional packages are not installed."""


def cause_of(error: BaseException) -> str:
    """Describe the cause of an error, in the user's language if it is one of the usual causes."""
    usual = {
        errno.ENOENT: _("no such file or folder"),
        errno.EISDIR: _("is a folder"),
        errno.ENOTDIR: _("Not a directory"),
        errno.EEXIST: _("File exists"),
        errno.EACCES: _("permission denied"),
        errno.EPERM: _("permission denied"),
        errno.ENOSPC: _("no space left"),
        errno.EROFS: _("read-only"),
        errno.EIO: _("the drive failed"),
        errno.ENAMETOOLONG: _("the name is too long"),
    }
    known = usual.get(getattr(error, "errno", None) or 0)
    return known or getattr(error, "strerror", None) or str(error) or type(error).__name__


def damage_of(error: BaseException) -> str:
    """Describe why a file could not be read: because of the system, or else because of its content."""
    if getattr(error, "errno", None):
        return cause_of(error)
    return _("damaged: {error}").format(error=str(error) or type(error).__name__)

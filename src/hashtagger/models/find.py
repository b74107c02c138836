"""Find the weights of a vocabulary: bundled ones, and those that the user keeps in a folder."""

import os
from pathlib import Path

from hashtagger.errors import WeightsError
from hashtagger.i18n import _

_BUNDLED = Path(__file__).parents[1] / "weights"
_CHECKOUT = Path(__file__).parents[3] / "weights"


def cache_folder() -> Path:
    """The folder in which :func:`find_weights` looks for the user's own weights."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("hashtagger")) / "weights"


def list_weights(vocabulary: "str | os.PathLike[str]") -> list[Path]:
    """List the weights files of a vocabulary, ``NETWORK-VOCABULARY.safetensors``, by name.

    Those of the network that the environment variable ``HASHTAGGER_NETWORK`` names come first, then the bundled ones,
    then those in :func:`cache_folder`.

    Args:
        vocabulary: Name or file of the vocabulary.
    """
    found = [path for path in _all_weights() if _of(path)[1] == _name(vocabulary)]
    preferred = _preferred()
    return sorted(found, key=lambda path: _of(path)[0] != preferred)


def _preferred() -> str:
    return os.environ.get("HASHTAGGER_NETWORK", "")


def _all_weights() -> list[Path]:
    folders = [_BUNDLED if _BUNDLED.is_dir() else _CHECKOUT, cache_folder()]
    return [path for folder in folders for path in sorted(folder.glob("*-*.safetensors"))]


def _of(weights: Path) -> tuple[str, str]:
    """Return the network and the vocabulary that a file's name tells."""
    network, _dash, vocabulary = weights.stem.partition("-")
    return network, vocabulary


def _name(vocabulary: "str | os.PathLike[str]") -> str:
    return Path(vocabulary).name.removesuffix(".toml")


def find_weights(vocabulary: "str | os.PathLike[str]" = "hashtags_ko", network: str = "") -> Path:
    """Find the weights of a vocabulary: the first of :func:`list_weights`.

    Args:
        vocabulary: Name or file of the vocabulary.
        network: timm name of the network that the weights must belong to; any by default.

    Raises:
        WeightsError: There are no weights for it; or no network is given, and there are no weights at all of the one
            that ``HASHTAGGER_NETWORK`` names.
    """
    name, found = _name(vocabulary), list_weights(vocabulary)
    preferred, networks = _preferred(), {_of(path)[0] for path in _all_weights()}
    if not network and preferred and preferred not in networks:
        raise WeightsError(
            _("HASHTAGGER_NETWORK: no weights of network {network!r}; there are: {known}").format(
                network=preferred, known=", ".join(sorted(networks))
            )
        )
    for path in found:
        if network in ("", _of(path)[0]):
            return path
    if found:
        raise WeightsError(
            _("no weights of network {network!r} for vocabulary {name!r}; there are: {known}").format(
                network=network, name=name, known=", ".join(_of(path)[0] for path in found)
            )
        )
    known = {_of(path)[1] for path in _all_weights()}
    raise WeightsError(
        _(
            "no weights for vocabulary {name!r}: none are bundled, and {folder} has no *-{name}.safetensors (there are "
            'weights for: {known}); collect photos and train your own: hashtagger collect "#TAG" photos/ '
            "--vocabulary {given}, hashtagger train photos/ --vocabulary {given} --out RUN, then "
            "--weights RUN/weights.safetensors"
        ).format(name=name, given=os.fspath(vocabulary), folder=cache_folder(), known=", ".join(sorted(known)) or "-")
    )


def locate_weights(
    weights: "str | os.PathLike[str] | None", vocabulary: "str | os.PathLike[str]" = "hashtags_ko"
) -> Path:
    """Resolve what a user gives as weights: a file, the name of a network with weights, or nothing.

    Args:
        weights: A path; or a network's name without folder, as :func:`find_weights` takes it; or None.
        vocabulary: Name or file of the vocabulary, for weights that are not a file.

    Returns:
        The path of the file, which may not exist if a path was given.

    Raises:
        WeightsError: There are no such weights.
    """
    if weights is None:
        return find_weights(vocabulary)
    path = Path(weights)
    networks = {_of(file)[0] for file in _all_weights()}
    # Names of timm may have a suffix too: resnet18.a1_in1k.
    is_name = len(path.parts) == 1 and (not path.suffix or path.name in networks) and not path.exists()
    return find_weights(vocabulary, path.name) if is_name else path

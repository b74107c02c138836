"""Array: a NumPy array of any shape and type, for type hints that do not import NumPy where they are read."""

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]
else:
    Array = Any

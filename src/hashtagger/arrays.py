"""Array: type alias of a NumPy array of any shape and dtype. Type hints can use it without importing NumPy."""

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]
else:
    Array = Any

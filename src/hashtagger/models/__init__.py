"""Networks of our own, registered with timm by importing this package, and their weights."""

from hashtagger.models import drn

__all__ = ["drn"]

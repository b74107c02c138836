"""Posts into folders by month and by hashtag: planned, journaled, resumable, undoable."""

from hashtagger.organize.plan import Placement
from hashtagger.organize.report import Report
from hashtagger.organize.run import Mode, organize

__all__ = ["Mode", "Placement", "Report", "organize"]

"""Sort posts into folders by month and by hashtag. Runs are planned, journaled, resumable and undoable."""

from hashtagger.organize.plan import Placement
from hashtagger.organize.report import Report
from hashtagger.organize.run import Mode, organize
from hashtagger.organize.undo import Undone, undo
from hashtagger.organize.verify import Verified, verify

__all__ = ["Mode", "Placement", "Report", "Undone", "Verified", "organize", "undo", "verify"]

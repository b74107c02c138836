"""How the sorted tree is laid out: which folders, in which language."""

from dataclasses import dataclass
from datetime import datetime

from hashtagger.errors import OrganizeError
from hashtagger.i18n import _
from hashtagger.organize import names

KINDS = ("date", "tag")
LANGUAGES = {"ko": ("날짜", "해시태그", "기타"), "en": ("date", "tag", "other")}


@dataclass(frozen=True)
class Layout:
    """The folders of the sorted tree.

    Attributes:
        by: ``"date"``, ``"tag"`` or both.
        lang: ``"ko"`` or ``"en"``, for the folders' names.
        min_count: How many posts (1 or more) a tag needs for a folder of its own; a post none of whose tags has one
            goes to 기타.
    """

    by: tuple[str, ...]
    lang: str
    min_count: int

    def __post_init__(self) -> None:
        if not self.by or any(kind not in KINDS for kind in self.by):
            raise OrganizeError(_("cannot sort by {by}; choose from: date, tag").format(by=",".join(self.by) or "-"))
        if self.lang not in LANGUAGES:
            raise OrganizeError(_("no folder names in {lang}; choose from: ko, en").format(lang=self.lang))
        if self.min_count < 1:
            raise OrganizeError(_("min_count must be 1 or more, not {count}").format(count=self.min_count))

    def month(self, taken_at: datetime) -> str:
        """Folder of a month: ``날짜/2021/04``."""
        return f"{LANGUAGES[self.lang][0]}/{taken_at.year:04d}/{taken_at.month:02d}"

    def tag(self, tag: str) -> str:
        """Folder of a tag: ``해시태그/강아지``; a guitar's is ``해시태그/기타 (2)``, as 기타 means the rest too."""
        name = names.safe_name(tag)
        return f"{self.tags}/{names.numbered(name, 2 if names.key(name) == LANGUAGES[self.lang][2] else 1)}"

    @property
    def tags(self) -> str:
        """The folder that holds the tags' folders, and the name of the top tag in photo managers."""
        return LANGUAGES[self.lang][1]

    @property
    def other(self) -> str:
        """Folder of posts without any tag that has a folder: ``해시태그/기타``."""
        return f"{self.tags}/{LANGUAGES[self.lang][2]}"

"""Layout of the sorted tree: which folders it has, named in which language."""

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
        lang: ``"ko"`` or ``"en"``, the language of the folder names.
        min_count: How many posts (1 or more) a tag needs to get its own folder; a post without such a tag goes to 기타.
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
        """Return the folder of a month: ``날짜/2021/04``."""
        return f"{LANGUAGES[self.lang][0]}/{taken_at.year:04d}/{taken_at.month:02d}"

    def tag(self, tag: str) -> str:
        """Return the folder of a tag: ``해시태그/강아지``; a tag named like the catch-all 기타 gets ``기타 (2)``."""
        name = names.safe_name(tag)
        return f"{self.tags}/{names.numbered(name, 2 if names.key(name) == LANGUAGES[self.lang][2] else 1)}"

    @property
    def tags(self) -> str:
        """The folder that contains the tag folders; also the name of the root tag in photo managers."""
        return LANGUAGES[self.lang][1]

    @property
    def other(self) -> str:
        """The catch-all folder for posts none of whose tags has a folder: ``해시태그/기타``."""
        return f"{self.tags}/{LANGUAGES[self.lang][2]}"

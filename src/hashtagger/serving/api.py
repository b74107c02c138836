"""The API for programs: stateless, documented by OpenAPI, with errors as problem details."""

from collections.abc import Callable, Coroutine
from importlib.metadata import version
from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, HTTPException, Query, Request, Response, UploadFile
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field

from hashtagger.errors import ImageError
from hashtagger.i18n import _
from hashtagger.normalize import normalize as normalize_tag
from hashtagger.recommend import Recommendation
from hashtagger.related import KEPT, related
from hashtagger.serving.asking import on_disk, recommend_file
from hashtagger.serving.engine import Question, vocabularies
from hashtagger.serving.problems import RESPONSES
from hashtagger.serving.services import Parts, Services, Someone
from hashtagger.serving.store import storable

PHOTOS_AT_ONCE = 30


class _FewFiles(APIRoute):
    """Limits the number of files while the form is parsed: many small files would all be held in memory."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_few(request: Request) -> Response:
            await request.form(max_files=PHOTOS_AT_ONCE)
            return await handle(request)

        return handle_few


router = APIRouter(prefix="/api", responses=RESPONSES, route_class=_FewFiles)


class Tag(BaseModel):
    """One hashtag for a photo."""

    tag: str = Field(examples=["강아지"])
    key: str = Field(examples=["dog"])
    score: float = Field(ge=0, le=1, description="Calibrated probability that it is right.", examples=[0.93])
    related: list[str] = Field(description="Tags that people use beside it.", examples=[["멍스타그램", "반려견"]])


class Answer(BaseModel):
    """The hashtags for one photo, or why it could not be read."""

    photo: str = Field(description="The file's name as sent.", examples=["photo.jpg"])
    tags: list[Tag] = Field(description="Best first; empty if none reaches the threshold.")
    error: str | None = Field(None, examples=[None])


class Meaning(BaseModel):
    """The meaning of a tag."""

    original: str = Field(examples=["#댕댕이"])
    tag: str = Field(description="The canonical tag, or the cleaned one if it is unknown.", examples=["강아지"])
    canonical: list[str] = Field(description="Keys of the labels meant, best first.", examples=[["dog"]])
    rule: str = Field(description="The rule that decided.", examples=["variant"])
    score: float = Field(ge=0, le=1, description="Rank of the rule, set by hand; not a probability.", examples=[0.99])


class Related(BaseModel):
    """Tags that people use beside a tag."""

    tag: str = Field(examples=["강아지"])
    related: list[str] = Field(examples=[["멍스타그램", "반려견"]])


class Health(BaseModel):
    """The server's status and its vocabularies."""

    status: Literal["ok"] = "ok"
    version: str = Field(examples=["0.1.0"])
    vocabularies: list[str] = Field(examples=[["hashtags_ko"]])


TagText = Annotated[
    str,
    # The Gate refuses a NUL in any URL, because PostgreSQL cannot store it; the pattern documents that.
    Query(min_length=1, max_length=200, pattern=r"^[^\x00]*$", openapi_examples={"slang": {"value": "#댕댕이"}}),
]


@router.post("/recommend")
async def recommend(
    services: Parts,
    user: Someone,
    files: Annotated[list[UploadFile], File(min_length=1, max_length=PHOTOS_AT_ONCE, description="One photo or many.")],
    vocabulary: Annotated[str, Query(max_length=80)] = "hashtags_ko",
    top_k: Annotated[int, Query(ge=1, description="Maximum number of tags for a photo.")] = 5,
    threshold: Annotated[
        float | None, Query(ge=0, le=1, description="Minimum score of a tag; by default that of the weights.")
    ] = None,
) -> list[Answer]:
    """Recommend hashtags for photos. Nothing is stored.

    A photo that cannot be read gets an error in its answer, and the others are processed; if no photo can be read,
    the request fails with an error that names each file and its cause.
    """
    known = [one.name for one in vocabularies()]
    if vocabulary not in known:
        raise HTTPException(
            404,
            _("no vocabulary {name!r}; there are: {known}").format(name=vocabulary, known=", ".join(known)),
        )
    question = Question(vocabulary, top_k, threshold)
    answers = [await services.heavily(_answer, services, file, question) for file in files]
    if all(answer.error for answer in answers):
        raise ImageError("; ".join(f"{answer.photo}: {answer.error}" for answer in answers))
    return answers


@router.get("/tags/normalize")
def normalize(user: Someone, tag: TagText) -> Meaning:
    """Return the meaning of a tag in any spelling."""
    return Meaning.model_validate(normalize_tag(tag)._asdict())


@router.get("/tags/related")
def tags_related(user: Someone, tag: TagText, k: Annotated[int, Query(ge=1, le=KEPT)] = 10) -> Related:
    """Return tags that people use beside a tag."""
    return Related(tag=normalize_tag(tag).tag, related=related(tag, k))


@router.get("/health")
def health() -> Health:
    """Return the server's status."""
    return Health(version=version("hashtagger"), vocabularies=[one.name for one in vocabularies()])


def _answer(services: Services, file: UploadFile, question: Question) -> Answer:
    name = storable(file.filename or "")
    try:
        with on_disk(file.file, services.settings.photo_bytes) as path:
            found = recommend_file(services, path, question)
    except ImageError as error:
        return Answer(photo=name, tags=[], error=str(error))
    return Answer(photo=name, tags=as_tags(found), error=None)


def as_tags(found: list[Recommendation]) -> list[Tag]:
    """Convert recommendations to the form used by the API and the history."""
    return [Tag(**one.to_dict()) for one in found]

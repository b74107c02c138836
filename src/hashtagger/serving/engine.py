"""The networks, each loaded once, and the thread that runs them on batches of photos."""

import threading
from concurrent.futures import Future
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

from hashtagger.errors import HashtaggerError
from hashtagger.history import History
from hashtagger.i18n import _
from hashtagger.models.find import find_weights
from hashtagger.recommend import Recommendation, Recommender
from hashtagger.vocabulary import Vocabulary, available, load_vocabulary

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image


class Choice(NamedTuple):
    """A vocabulary that users can choose."""

    name: str
    title: str


class Question(NamedTuple):
    """A vocabulary and the options of :meth:`Recommender.recommend`; equal questions share a batch."""

    vocabulary: str
    top_k: int = 5
    threshold: float | None = None
    history: History | None = None


class _Job(NamedTuple):
    question: Question
    image: "Image"
    answer: "Future[list[Recommendation]]"


class Engine:
    """Recommends tags in one thread; photos that are waiting at the same time are scored as one batch."""

    def __init__(self) -> None:
        self._recommenders: dict[str, Recommender] = {}
        self._lock = threading.Lock()
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="engine", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer the waiting photos, then stop the thread."""
        self._jobs.put(None)
        self._thread.join()

    def warm_up(self) -> None:
        """Load the hashtag network, if installed, before the first request needs it."""
        with suppress(HashtaggerError):
            self.recommender("hashtags_ko")

    def recommender(self, vocabulary: str) -> Recommender:
        """Return a vocabulary's recommender, loaded on the first call.

        Raises:
            HashtaggerError: There is no such vocabulary, or there are no weights for it.
        """
        # Checked without the lock first, so that a loaded one is returned at once while another is being loaded.
        if vocabulary not in self._recommenders:
            with self._lock:
                if vocabulary not in self._recommenders:
                    self._recommenders[vocabulary] = Recommender(vocabulary)
        return self._recommenders[vocabulary]

    def recommend(self, question: Question, image: "Image") -> list[Recommendation]:
        """Recommend tags for one decoded photo.

        Raises:
            HashtaggerError: There is no such vocabulary, or there are no weights for it.
        """
        self.recommender(question.vocabulary)
        answer: Future[list[Recommendation]] = Future()
        self._jobs.put(_Job(question, image, answer))
        return answer.result()

    def heatmap(self, vocabulary: str, image: "Image", key: str) -> "np.ndarray[Any, Any]":
        """Return where in a photo a label is seen: (h, w) in 0..1, aligned with the photo."""
        return self.recommender(vocabulary).heatmap(image, key)

    def _work(self) -> None:
        while True:
            jobs = [self._jobs.get()]
            while not self._jobs.empty():  # a small batch: Services limits the photos processed at once
                jobs.append(self._jobs.get())
            asked = [job for job in jobs if job is not None]
            for question in {job.question for job in asked}:
                self._answer(question, [job for job in asked if job.question == question])
            if len(asked) < len(jobs):
                return

    def _answer(self, question: Question, jobs: list[_Job]) -> None:
        vocabulary, top_k, threshold, history = question
        try:
            images = [job.image for job in jobs]
            found = self.recommender(vocabulary).recommend(images, top_k=top_k, threshold=threshold, history=history)
        except Exception as error:
            for job in jobs:
                job.answer.set_exception(error)
        else:
            for job, tags in zip(jobs, found, strict=True):
                job.answer.set_result(tags)


def compares(vocabulary: Vocabulary) -> bool:
    """Return whether the page shows a photo's score for all labels (heroes) rather than only the best few."""
    return all("description" in label.details for label in vocabulary)


def locates(vocabulary: Vocabulary) -> bool:
    """Return whether labels are places; some of them then have an address and coordinates."""
    return any("address" in label.details for label in vocabulary)


def vocabularies() -> list[Choice]:
    """List the vocabularies that have weights: hashtags first, then the other bundled ones, then the rest by name."""
    titles = {
        "hashtags_ko": _("Hashtags"),
        "landmarks_world": _("Landmarks"),
        "landmarks_seoul": _("Landmarks of Seoul"),
        "heroes": _("Heroes"),
    }
    found = []
    for name in [*titles, *sorted(set(available()) - set(titles))]:
        try:
            find_weights(name)
        except HashtaggerError:
            continue
        found.append(Choice(name, titles.get(name) or load_vocabulary(name).title))
    return found

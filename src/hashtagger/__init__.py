"""Korean hashtags for photos, and folders by date and hashtag for posts."""

from hashtagger.errors import HashtaggerError, ImageError
from hashtagger.history import History
from hashtagger.normalize import Normalized, Normalizer, extract_tags, normalize
from hashtagger.organize import organize, undo, verify
from hashtagger.posts import open_source
from hashtagger.posts.post import Media, Post
from hashtagger.recommend import Recommendation, Recommender, recommend
from hashtagger.related import related
from hashtagger.vocabulary import Label, Vocabulary, load_vocabulary

# Some functions share the name of their module (normalize, recommend, ...). Importing a submodule sets it as an
# attribute of this package, but only the first time, so the functions imported above keep these names.

__all__ = [
    "HashtaggerError",
    "History",
    "ImageError",
    "Label",
    "Media",
    "Normalized",
    "Normalizer",
    "Post",
    "Recommendation",
    "Recommender",
    "Vocabulary",
    "extract_tags",
    "load_vocabulary",
    "normalize",
    "open_source",
    "organize",
    "recommend",
    "related",
    "undo",
    "verify",
]

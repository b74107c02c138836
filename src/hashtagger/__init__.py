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

# Functions share names with the modules that hold them. Importing them here, after their modules, binds the
# names to the functions for good: a module that is loaded already does not take its name back.

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

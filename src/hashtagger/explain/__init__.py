"""Why this hashtag: heat maps, features, and where the thing is."""

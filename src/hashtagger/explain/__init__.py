"""Explain a hashtag: heat maps, feature maps, and where its object is."""

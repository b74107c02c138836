"""Many photos: tagged in batches, written in parts, on one machine or on a Ray cluster."""

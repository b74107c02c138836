"""Tagging many photos in batches, with resumable output, on one machine or on a Ray cluster."""

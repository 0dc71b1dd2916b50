"""Measurements of images, and near-duplicates: finding and grouping them."""

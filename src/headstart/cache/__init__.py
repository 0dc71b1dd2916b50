"""The cache on disk: decoded images and activations of frozen layers, found by image content, safe to delete."""

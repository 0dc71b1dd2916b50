"""Reading image files: formats, limits, pixels, and checks for damage."""

"""One image file: its format, its limits, its pixels, and what is wrong with it."""

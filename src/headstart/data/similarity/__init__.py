"""Images that show the same: measured, found and grouped."""

"""Backbones, heads, and what of them trains."""

"""Backbones, heads, and the choice of layers to train."""

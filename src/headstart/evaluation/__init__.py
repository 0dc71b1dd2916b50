"""Honest figures about a trained classifier."""

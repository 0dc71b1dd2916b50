"""Configuration-driven transfer-learning experiments for image classification."""

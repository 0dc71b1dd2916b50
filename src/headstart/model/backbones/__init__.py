"""Pretrained networks: registry, builders, blocks and weights."""

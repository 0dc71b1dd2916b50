"""Stages: what trains, for how long, and with which optimizer."""

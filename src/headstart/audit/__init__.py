"""Audits a data set before training: duplicates, leakage, wrong labels, poor images and shortcuts."""

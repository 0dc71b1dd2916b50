"""Evaluates trained classifiers: metrics, reports and figures."""

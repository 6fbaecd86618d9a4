"""Sampling of posteriors, and whether their draws can be trusted."""

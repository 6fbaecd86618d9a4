"""Models: a law with priors and a likelihood, and the same bound to one series."""

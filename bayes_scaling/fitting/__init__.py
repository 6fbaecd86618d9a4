"""Fits, their forecasts, and the folder that keeps them."""

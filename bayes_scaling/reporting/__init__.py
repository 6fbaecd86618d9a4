"""One page that people hand round: forecasts, what they rest on, and how far to trust them."""

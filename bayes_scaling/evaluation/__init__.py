"""How good forecasts are: leave-one-out, held-out runs, weights."""

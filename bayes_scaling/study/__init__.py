"""Many models × many series × many cut-offs, as one job."""

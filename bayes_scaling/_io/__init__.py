"""Files and folders: nothing of scaling laws is in here."""

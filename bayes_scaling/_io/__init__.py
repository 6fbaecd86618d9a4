"""Files and folders; nothing here depends on scaling laws."""

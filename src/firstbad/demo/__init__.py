"""A real kernel history with known bugs to bisect."""

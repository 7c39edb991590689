"""Where work runs: builds and machines."""

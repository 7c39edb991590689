"""A read-only page of the jobs on this machine."""

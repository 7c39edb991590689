"""The commit graph: git by subprocess, ancestry, releases, worktrees."""

"""Toolchains, configuration, build, signature, artifact store; kernel facts are data files."""

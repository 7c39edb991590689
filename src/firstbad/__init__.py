"""firstbad: finds the commit that broke the kernel, or fixed it, and says how sure it is."""

__version__ = "0.1.0"

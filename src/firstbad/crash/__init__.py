"""Console text to reports: formats (as data), title, type, frame, identity, symbols."""

"""Files of a bundle (.mcpb) in addition to the two packages."""

"""Files that a bundle (.mcpb) contains in addition to the packages pgmcp and worker."""

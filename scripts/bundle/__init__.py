"""What a one-click bundle (.mcpb) holds beside the two packages."""

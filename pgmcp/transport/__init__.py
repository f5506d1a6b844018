"""How hosts reach the surface; each transport only encodes what the surface returns."""

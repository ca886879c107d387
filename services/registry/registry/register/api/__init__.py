"""The register over HTTP: single cooperatives and imports."""

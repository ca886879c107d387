"""The register of cooperatives: records with the source of each value, files, imports."""

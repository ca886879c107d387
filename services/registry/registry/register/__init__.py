"""The register of cooperatives: records with the source of each fact, files, imports."""

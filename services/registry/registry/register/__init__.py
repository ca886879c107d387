"""The register of cooperatives: records with the source of each event, files, imports."""

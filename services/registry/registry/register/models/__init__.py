"""Tables of the register, cooperatives as rows, the statements of an import."""

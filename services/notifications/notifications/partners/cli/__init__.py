"""`taawon partner`: the provisioner, a partner's own way to read, and the ledger."""

"""`taawon partner`: the provisioner, reading as a partner does, and the ledger."""

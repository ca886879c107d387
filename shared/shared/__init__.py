"""What every service uses and no service owns: contracts, reference data, texts and the kernel."""

"""Who is calling: verified tokens in, a principal out."""

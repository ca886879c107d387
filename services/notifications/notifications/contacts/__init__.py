"""What notifications holds of a person: contacts of the audience and read states."""

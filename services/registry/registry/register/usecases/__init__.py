"""What people, programs and files can make happen in the register."""

"""What people, programs and operators can make happen to accounts and tokens."""

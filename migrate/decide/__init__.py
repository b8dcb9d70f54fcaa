"""What a run would do, worked out and not done yet."""

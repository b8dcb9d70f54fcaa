"""A plan written down for a reviewer, and a reviewed plan read back."""

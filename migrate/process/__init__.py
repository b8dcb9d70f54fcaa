"""This process: its memory, and threads that prefetch."""

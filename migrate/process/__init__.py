"""This process: its memory, the signals that ask it to end, and threads that prefetch."""

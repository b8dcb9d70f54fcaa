"""This process: its memory, and threads that prepare what is asked for next."""

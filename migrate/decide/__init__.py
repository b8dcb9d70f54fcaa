"""Decides what a run will record and send, without doing it."""

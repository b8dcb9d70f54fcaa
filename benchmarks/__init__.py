"""Measurements of design §18, as ratios in one run on one machine; never timed tests."""

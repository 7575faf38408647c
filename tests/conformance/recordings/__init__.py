"""Recorded conversations of the reference engine, and how to play them. Copied, never edited."""

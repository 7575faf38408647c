"""Palaver: one engine for CSML, ChatBot.com and Clustaar bots, answering over all three APIs."""

__version__ = "0.1.0"
__all__ = ["__version__"]

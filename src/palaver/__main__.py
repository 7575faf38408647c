"""`python -m palaver`."""

from palaver.cli.main import main

main()

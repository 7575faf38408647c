"""`python -m palaver.cli`."""

from palaver.cli.main import main

main()

"""`python -m vaekit VERB …` is the command line, for an environment whose scripts are not on the path."""

from vaekit.cli import main

main()

"""`python -m heliograph` is the command line."""

from heliograph.cli.main import main

if __name__ == "__main__":
    main()

"""`python -m headgate`: the command, where its script is not on the path."""

from headgate.cli.app import main

if __name__ == "__main__":
    main()

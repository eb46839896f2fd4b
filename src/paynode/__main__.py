"""`python -m paynode`, and the command `paynode`."""

from paynode.cli import main

if __name__ == "__main__":
    main()

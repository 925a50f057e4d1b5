"""`python -m nodulax` is the command `nodulax`."""

from nodulax import cli

if __name__ == '__main__':
  cli.main()

"""`python -m vireo`, and `torchrun -m vireo`: the command line."""

from vireo.cli.main import app

if __name__ == "__main__":
    app(prog_name="vireo")

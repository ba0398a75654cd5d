"""The command line: commands built from declared options."""

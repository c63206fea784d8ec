"""What keeps the repository in order: checks and generated pages. Not part of the package."""

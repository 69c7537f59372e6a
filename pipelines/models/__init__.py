"""The models of a build as Beam ModelHandlers."""

"""A closed world of pictogram scenes and everyday utterances whose emergent harm is known by rules."""

"""The sample world: films of coloured shapes, rendered from a seed alone, of which every moment is known."""

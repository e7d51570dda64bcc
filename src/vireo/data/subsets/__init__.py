"""Parts of a set of images: balanced, unbalanced, even over groups or time, mixed."""

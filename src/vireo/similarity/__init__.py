"""How alike encoders are, block by block, on the same images: linear CKA."""

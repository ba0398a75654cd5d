"""The neural face swappers: an identity (or a picture) and a face crop in, the crop with the other face out."""

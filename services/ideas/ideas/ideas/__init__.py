"""An idea from draft to withdrawal."""

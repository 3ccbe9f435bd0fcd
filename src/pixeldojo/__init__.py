"""PixelDojo: one async API over many hosted AI image, video, audio and 3D models."""

__version__ = "0.1.0"

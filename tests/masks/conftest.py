"""Makes mask_strategies importable whatever pytest's import mode."""

import sys
from pathlib import Path

import cv2

sys.path.insert(0, str(Path(__file__).parent))

# The arrays are small: on a busy machine OpenCV's threads would mostly wait for each other.
cv2.setNumThreads(1)

"""Face analysis by downloaded networks: detectors, landmarkers, recogniser, classifier."""

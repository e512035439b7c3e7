"""Changes of shift: what was open before is somebody's afterwards, whatever happens in between."""

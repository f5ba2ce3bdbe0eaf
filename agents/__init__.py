"""The crew: one model-tool loop and one file per role."""

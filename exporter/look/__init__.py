"""What every page for people looks like: one skeleton, one style sheet, one way to choose the language."""

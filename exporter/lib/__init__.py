"""What the standard library lacks, without a word about devices."""

"""The end-to-end harness: real receivers, real servers, and how to read what arrives."""

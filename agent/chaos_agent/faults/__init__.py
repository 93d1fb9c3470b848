"""One file a fault; the file's name is the arm of the `Fault` oneof and the word on the command line."""

//! Parses arguments, runs a command, exits with its code; nothing else.

fn main() {}

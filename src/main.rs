//! The binary `provisor`.

fn main() {}

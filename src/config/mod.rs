//! The settings: compiled-in defaults, files, the environment. Strict, and all errors at once.
